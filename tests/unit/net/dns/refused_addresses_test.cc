#include "net/dns/refused_addresses.h"

#include <gtest/gtest.h>

namespace sluice::net {
namespace {

IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }

TEST(RefusedAddresses, AreThePrivateOnesUnlessAllowed) {
  EXPECT_TRUE(isRefusedAddress(ip("127.0.0.1"), {}));
  EXPECT_TRUE(isRefusedAddress(ip("64:ff9b::7f00:1"), {}));
  EXPECT_FALSE(isRefusedAddress(ip("8.8.8.8"), {}));
}

TEST(RefusedAddresses, OpenExactlyTheNetworksThatAreNamed) {
  const std::vector<IpNetwork> allowed{IpNetwork::parse("127.0.0.2").value(),
                                       IpNetwork::parse("127.0.0.64/27").value()};
  EXPECT_FALSE(isRefusedAddress(ip("127.0.0.2"), allowed));
  EXPECT_FALSE(isRefusedAddress(ip("::ffff:127.0.0.2"), allowed));
  EXPECT_FALSE(isRefusedAddress(ip("127.0.0.95"), allowed));
  EXPECT_TRUE(isRefusedAddress(ip("127.0.0.1"), allowed));
  EXPECT_TRUE(isRefusedAddress(ip("127.0.0.96"), allowed));
  EXPECT_TRUE(isRefusedAddress(ip("64:ff9b::7f00:2"), allowed));
  EXPECT_TRUE(isRefusedAddress(ip("10.0.0.1"), allowed));
}

TEST(RefusedAddresses, LeaveTheOthersInTheirOrder) {
  std::vector<IpAddress> addresses{ip("8.8.8.8"), ip("10.0.0.1"), ip("2001:db8::1"), ip("::1"),
                                   ip("1.1.1.1")};
  dropRefusedAddresses(addresses, {});
  EXPECT_EQ(addresses, (std::vector<IpAddress>{ip("8.8.8.8"), ip("2001:db8::1"), ip("1.1.1.1")}));
}

}  // namespace
}  // namespace sluice::net
