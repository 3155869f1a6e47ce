#include "net/base/ip_address.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace sluice {
namespace {

IpAddress ip(std::string_view text) {
  auto address = IpAddress::parse(text);
  EXPECT_TRUE(address.has_value()) << text;
  return address.value_or(IpAddress());
}

IpNetwork net(std::string_view text) {
  auto network = IpNetwork::parse(text);
  EXPECT_TRUE(network.has_value()) << text;
  return network.value_or(IpNetwork());
}

TEST(IpAddress, ReadsAndWritesBothFamilies) {
  for (const std::string text : {"192.0.2.1", "0.0.0.0", "255.255.255.255", "10.9.100.99"})
    EXPECT_EQ(ip(text).toString(), text);
  EXPECT_TRUE(ip("192.0.2.1").isV4());
  EXPECT_EQ(ip("2001:DB8:0:0::1").toString(), "2001:db8::1");
  EXPECT_FALSE(ip("2001:db8::1").isV4());
}

TEST(IpAddress, TakesAMappedAddressForTheIpv4AddressThatItMeans) {
  EXPECT_EQ(ip("::ffff:127.0.0.1"), ip("127.0.0.1"));
  EXPECT_EQ(ip("::ffff:127.0.0.1").toString(), "127.0.0.1");
  EXPECT_TRUE(ip("::ffff:127.0.0.1").isLoopback());
}

TEST(IpAddress, RefusesWhatOnlyLooksLikeAnAddress) {
  for (const std::string_view text :
       {std::string_view(""), std::string_view("1.2.3"), std::string_view("2130706433"),
        std::string_view("0x7f.0.0.1"), std::string_view("010.0.0.1"), std::string_view("1.2.3.4 "),
        std::string_view("256.1.1.1"), std::string_view("fe80::1%eth0"), std::string_view("[::1]"),
        std::string_view("::1::"), std::string_view("1.2.3.4\0x", 9),
        std::string_view("1111:1111:1111:1111:1111:1111:1111:1111:1111:1111")}) {
    EXPECT_FALSE(IpAddress::parse(text).has_value()) << text;
  }
}

class PrivateAddress : public testing::TestWithParam<const char*> {};
TEST_P(PrivateAddress, IsNoPlaceOfThePublicInternet) { EXPECT_TRUE(ip(GetParam()).isPrivate()); }
INSTANTIATE_TEST_SUITE_P(All, PrivateAddress,
                         testing::Values("127.0.0.1", "127.255.255.255", "0.0.0.0", "0.1.2.3",
                                         "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1",
                                         "100.64.0.1", "100.127.255.255", "169.254.169.254",
                                         "224.0.0.1", "239.255.255.255", "240.0.0.1",
                                         "255.255.255.255", "::", "::1", "::ffff:127.0.0.1",
                                         "::ffff:10.1.1.1", "64:ff9b::7f00:1", "64:ff9b::a00:1",
                                         "64:ff9b:1::1", "2002:7f00:1::1", "::127.0.0.1", "fe80::1",
                                         "febf::1", "fec0::1", "fc00::1", "fdff::1", "ff02::1"));

class PublicAddress : public testing::TestWithParam<const char*> {};
TEST_P(PublicAddress, MayBeConnectedTo) { EXPECT_FALSE(ip(GetParam()).isPrivate()); }
INSTANTIATE_TEST_SUITE_P(All, PublicAddress,
                         testing::Values("1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255",
                                         "100.128.0.0", "126.255.255.255", "128.0.0.1",
                                         "169.253.1.1", "172.15.255.255", "172.32.0.0",
                                         "192.167.1.1", "192.169.0.1", "223.255.255.255",
                                         "64:ff9b::808:808", "2002:808:808::1", "2001:db8::1",
                                         "2a00:1450::1", "::ffff:8.8.8.8"));

TEST(Endpoint, ReadsAndWritesBothFamilies) {
  EXPECT_EQ(Endpoint::parse("127.0.0.1:25").value().toString(), "127.0.0.1:25");
  EXPECT_EQ(Endpoint::parse("[::1]:65535").value().toString(), "[::1]:65535");
  EXPECT_EQ(Endpoint::parse("127.0.0.1:0").value().port, 0);
}

TEST(Endpoint, RefusesNamesAndOddPorts) {
  for (const char* text : {"", ":", ":25", "localhost:25", "127.0.0.1", "127.0.0.1:",
                           "127.0.0.1:65536", "127.0.0.1:+25", "127.0.0.1: 25", "127.0.0.1:25x",
                           "::1:25", "[127.0.0.1]:25", "[::1]25", "[::1]", "[]:25"}) {
    EXPECT_FALSE(Endpoint::parse(text).has_value()) << text;
  }
}

TEST(Endpoint, SurvivesASocketAddress) {
  for (const char* text : {"192.0.2.7:2525", "[2001:db8::7]:587"}) {
    const Endpoint endpoint = Endpoint::parse(text).value();
    sockaddr_storage storage;
    endpoint.to(storage);
    EXPECT_EQ(storage.ss_family, endpoint.address.isV4() ? AF_INET : AF_INET6);
    EXPECT_EQ(Endpoint::from(*reinterpret_cast<const sockaddr*>(&storage)), endpoint);
  }
}

TEST(IpNetwork, ContainsItsEdgesAndNothingBeyond) {
  EXPECT_TRUE(net("10.0.0.0/8").contains(ip("10.255.255.255")));
  EXPECT_FALSE(net("10.0.0.0/8").contains(ip("11.0.0.0")));
  EXPECT_TRUE(net("172.16.0.0/12").contains(ip("172.31.255.255")));
  EXPECT_FALSE(net("172.16.0.0/12").contains(ip("172.32.0.0")));
  EXPECT_TRUE(net("2001:db8::/33").contains(ip("2001:db8:7fff::1")));
  EXPECT_FALSE(net("2001:db8::/33").contains(ip("2001:db8:8000::1")));
  EXPECT_TRUE(net("192.0.2.1").contains(ip("192.0.2.1")));
  EXPECT_FALSE(net("192.0.2.1").contains(ip("192.0.2.0")));
  EXPECT_TRUE(net("0.0.0.0/0").contains(ip("8.8.8.8")));
}

TEST(IpNetwork, KeepsTheFamiliesApart) {
  EXPECT_FALSE(net("0.0.0.0/0").contains(ip("::1")));
  EXPECT_FALSE(net("::/0").contains(ip("127.0.0.1")));
  EXPECT_TRUE(net("127.0.0.0/8").contains(ip("::ffff:127.0.0.1")));
  EXPECT_EQ(net("::ffff:10.0.0.0/104").toString(), "10.0.0.0/8");
}

TEST(IpNetwork, RefusesWhatIsNoNetwork) {
  for (const char* text : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.1/8", "::1/127x", "::/129",
                           "10.0.0.0/-1", "10.0.0.0/8/8", "::ffff:10.0.0.0/8", "example.com/8"}) {
    EXPECT_FALSE(IpNetwork::parse(text).has_value()) << text;
  }
}

TEST(IpNetwork, KnowsWhetherItIsLoopbackOnly) {
  EXPECT_TRUE(net("127.0.0.0/8").isLoopback());
  EXPECT_TRUE(net("127.0.0.5").isLoopback());
  EXPECT_TRUE(net("::1/128").isLoopback());
  EXPECT_FALSE(net("0.0.0.0/0").isLoopback());
  EXPECT_FALSE(net("126.0.0.0/7").isLoopback());
  EXPECT_FALSE(net("::/0").isLoopback());
}

}  // namespace
}  // namespace sluice
