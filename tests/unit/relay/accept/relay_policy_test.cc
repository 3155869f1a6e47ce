#include "relay/accept/relay_policy.h"

#include <gtest/gtest.h>

namespace sluice::relay {
namespace {

ReceiveConfig connector() {
  ReceiveConfig config;
  config.relay_networks = {IpNetwork::parse("10.0.0.0/8").value(),
                           IpNetwork::parse("2001:db8::/32").value()};
  return config;
}
RelayClient from(std::string_view address) { return {IpAddress::parse(address).value()}; }

TEST(RelayPolicy, AllowsTheNetworksThatAreNamed) {
  EXPECT_TRUE(mayRelay(connector(), from("10.1.2.3")).allowed);
  EXPECT_TRUE(mayRelay(connector(), from("::ffff:10.1.2.3")).allowed);
  EXPECT_TRUE(mayRelay(connector(), from("2001:db8::1")).allowed);
}

TEST(RelayPolicy, DeniesEverybodyElse) {
  EXPECT_FALSE(mayRelay(connector(), from("11.0.0.1")).allowed);
  EXPECT_FALSE(mayRelay(connector(), from("127.0.0.1")).allowed);
  EXPECT_FALSE(mayRelay(connector(), from("2001:db9::1")).allowed);
  EXPECT_FALSE(mayRelay({}, from("127.0.0.1")).allowed);
}

TEST(RelayPolicy, AllowsWhoProvesWhoItIs) {
  RelayClient client = from("192.0.2.1");
  client.authenticated = true;
  EXPECT_TRUE(mayRelay(connector(), client).allowed);
  client.authenticated = false;
  client.certificate = true;
  EXPECT_TRUE(mayRelay(connector(), client).allowed);
}

TEST(RelayPolicy, LetsNoNetworkInWhereAuthenticationIsRequired) {
  ReceiveConfig config = connector();
  config.auth = ReceiveAuth::Required;
  config.open_relay = true;
  EXPECT_FALSE(mayRelay(config, from("10.1.2.3")).allowed);
}

TEST(RelayPolicy, IsOpenOnlyWhereItSaysSo) {
  ReceiveConfig config = connector();
  config.open_relay = true;
  EXPECT_TRUE(mayRelay(config, from("192.0.2.1")).allowed);
}

ReceiveConfig sending(std::vector<std::string> domains) {
  ReceiveConfig config;
  config.sender_domains = std::move(domains);
  return config;
}

TEST(SenderDomains, AnyMayStandThereUntilSomeAreNamed) {
  EXPECT_TRUE(isSenderDomain(sending({}), "a@anything.test"));
}

TEST(SenderDomains, AreTheNamedOnesInAnySpelling) {
  const ReceiveConfig config = sending({"example.com", ".example.org"});
  EXPECT_TRUE(isSenderDomain(config, "a@example.com"));
  EXPECT_TRUE(isSenderDomain(config, "a@EXAMPLE.Com"));
  EXPECT_TRUE(isSenderDomain(config, "a@mail.example.org"));
  EXPECT_FALSE(isSenderDomain(config, "a@mail.example.com"));
  EXPECT_FALSE(isSenderDomain(config, "a@example.org"));
  EXPECT_FALSE(isSenderDomain(config, "a@notexample.com"));
  EXPECT_FALSE(isSenderDomain(config, "a@example.com.evil.test"));
}

TEST(SenderDomains, ANotificationHasNone) {
  EXPECT_TRUE(isSenderDomain(sending({"example.com"}), ""));
}

}  // namespace
}  // namespace sluice::relay
