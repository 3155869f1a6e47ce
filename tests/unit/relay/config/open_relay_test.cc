// Networks that are the whole Internet are found, however they are written.
#include "relay/config/open_relay.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::relay {
namespace {

bool isPublic(std::initializer_list<const char*> texts) {
  std::vector<IpNetwork> networks;
  for (const char* text : texts) networks.push_back(IpNetwork::parse(text).value());
  return arePublic(networks);
}

TEST(OpenRelay, EverythingIsPublic) {
  EXPECT_TRUE(isPublic({"0.0.0.0/0"}));
  EXPECT_TRUE(isPublic({"::/0"}));
  EXPECT_TRUE(isPublic({"::ffff:0.0.0.0/96"}));
  EXPECT_TRUE(isPublic({"2000::/3"}));
}

TEST(OpenRelay, EverythingInPartsIsPublic) {
  EXPECT_TRUE(isPublic({"0.0.0.0/1", "128.0.0.0/1"}));
  EXPECT_TRUE(isPublic({"0.0.0.0/1"}));
  EXPECT_TRUE(isPublic({"8000::/1", "::/1"}));
  std::vector<IpNetwork> eights;
  for (int i = 0; i < 256; ++i) {
    eights.push_back(IpNetwork::parse(std::to_string(i) + ".0.0.0/8").value());
  }
  EXPECT_TRUE(arePublic(eights));
}

TEST(OpenRelay, PrivateNetworksAreNot) {
  EXPECT_FALSE(isPublic({}));
  EXPECT_FALSE(isPublic({"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
                         "100.64.0.0/10", "169.254.0.0/16"}));
  EXPECT_FALSE(isPublic({"::1/128", "fc00::/7", "fe80::/10"}));
}

TEST(OpenRelay, AnOrganisationsOwnNetworksAreNot) {
  EXPECT_FALSE(isPublic({"17.0.0.0/8", "17.0.0.0/8", "17.1.0.0/16"}));  // counted once
  EXPECT_FALSE(isPublic({"2001:db8::/32", "2a00::/19"}));
}

TEST(OpenRelay, APrivateAddressDoesNotHideAWideNetworkAroundIt) {
  EXPECT_TRUE(isPublic({"10.0.0.0/7"}));
  EXPECT_TRUE(isPublic({"fc00::/6"}));
}

}  // namespace
}  // namespace sluice::relay
