#include "relay/route/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::relay {
namespace {

using testing::ElementsAre;

SendConfig smartHostConnector(std::string name, std::vector<AddressSpace> spaces) {
  SendConfig connector;
  connector.name = std::move(name);
  connector.address_spaces = std::move(spaces);
  connector.route = Route::SmartHost;
  connector.smart_hosts = {{"smtp.example.net", 587}};
  return connector;
}

SendConfig mxConnector(std::string name, std::vector<AddressSpace> spaces) {
  SendConfig connector = smartHostConnector(std::move(name), std::move(spaces));
  connector.route = Route::Mx;
  connector.smart_hosts.clear();
  return connector;
}

std::vector<std::string> names(const Result<RouteChoice>& choice) {
  std::vector<std::string> all;
  if (!choice) return all;
  for (const SendConfig* connector : choice->connectors) all.push_back(connector->name);
  return all;
}

TEST(Router, TakesTheMostSpecificSpaceWhateverItCosts) {
  const Router router(
      {mxConnector("all", {{"*", 1}}), mxConnector("com", {{".com", 1}}),
       mxConnector("sub", {{".example.com", 50}}), mxConnector("exact", {{"a.example.com", 100}})},
      {});
  EXPECT_THAT(names(router.route("a.example.com")), ElementsAre("exact"));
  EXPECT_THAT(names(router.route("b.example.com")), ElementsAre("sub"));
  EXPECT_THAT(names(router.route("example.com")), ElementsAre("com"));
  EXPECT_THAT(names(router.route("example.org")), ElementsAre("all"));
  EXPECT_THAT(names(router.route("[192.0.2.1]")), ElementsAre("all"));
}

TEST(Router, OrdersEquallySpecificConnectorsByCostThenName) {
  const Router router({mxConnector("dear", {{"*", 20}}), mxConnector("b", {{"*", 10}}),
                       mxConnector("a", {{"*", 10}}), mxConnector("cheap", {{"*", 1}})},
                      {});
  EXPECT_THAT(names(router.route("example.com")), ElementsAre("cheap", "a", "b", "dear"));
}

TEST(Router, CountsAConnectorThatNamesASpaceTwiceOnce) {
  const Router router(
      {mxConnector("twice", {{"*", 20}, {"*", 5}}), mxConnector("other", {{"*", 10}})}, {});
  EXPECT_THAT(names(router.route("example.com")), ElementsAre("twice", "other"));
}

// They leave by the same way, over connections of their own.
TEST(Router, QueuesMessagesWithWishesOfTlsApart) {
  const Router router(
      {smartHostConnector("smart", {{"example.com", 1}}), mxConnector("mx", {{"*", 1}})}, {});
  EXPECT_EQ(router.queueKey("example.org", TlsWish::None).value(), "example.org");
  EXPECT_EQ(router.queueKey("example.org", TlsWish::Required).value(), "!example.org");
  EXPECT_EQ(router.queueKey("example.org", TlsWish::Optional).value(), "~example.org");
  EXPECT_EQ(router.queueKey("example.com", TlsWish::Required).value(), "!=smart");
  for (const char* key : {"example.org", "!example.org", "~example.org"}) {
    EXPECT_THAT(names(router.routeOfKey(key)), ElementsAre("mx")) << key;
  }
  for (const char* key : {"=smart", "!=smart", "~=smart"}) {
    EXPECT_THAT(names(router.routeOfKey(key)), ElementsAre("smart")) << key;
  }
  EXPECT_EQ(wishOfKey("!=smart"), TlsWish::Required);
  EXPECT_EQ(withoutWish("~example.org"), "example.org");
}

TEST(Router, SaysSoWhenNoConnectorTakesADomain) {
  const Router router({mxConnector("com", {{".com", 1}})}, {});
  EXPECT_EQ(router.route("example.org").error().code, Errc::NotFound);
  EXPECT_EQ(router.queueKey("example.org").error().code, Errc::NotFound);
  EXPECT_EQ(router.route("").error().code, Errc::NotFound);
  EXPECT_EQ(Router({}, {}).route("example.org").error().code, Errc::NotFound);
}

TEST(Router, QueuesDomainsOfASmartHostTogetherAndOthersApart) {
  const Router router(
      {smartHostConnector("hub", {{".example.com", 1}}), mxConnector("internet", {{"*", 1}})}, {});
  EXPECT_EQ(router.queueKey("a.example.com").value(), "=hub");
  EXPECT_EQ(router.queueKey("b.example.com").value(), "=hub");
  EXPECT_EQ(router.queueKey("example.org").value(), "example.org");
}

TEST(Router, FindsTheWayOfAQueueKey) {
  const Router router(
      {smartHostConnector("hub", {{".example.com", 1}}), mxConnector("internet", {{"*", 1}})}, {});
  EXPECT_THAT(names(router.routeOfKey("=hub")), ElementsAre("hub"));
  EXPECT_THAT(names(router.routeOfKey("=internet")), ElementsAre("internet"));
  EXPECT_THAT(names(router.routeOfKey("example.org")), ElementsAre("internet"));
  EXPECT_EQ(router.routeOfKey("=gone").error().code, Errc::NotFound);
  EXPECT_EQ(router.connector("hub")->name, "hub");
  EXPECT_EQ(router.connector("gone"), nullptr);
}

DestinationConfig exception(std::vector<std::string> match, int max_connections) {
  DestinationConfig config;
  config.match = std::move(match);
  config.max_connections = max_connections;
  return config;
}

int connectionsFor(const Router& router, std::string_view domain,
                   std::vector<std::string> hosts = {}) {
  return router.limitsFor(*router.connector("internet"), domain, hosts).max_connections;
}

TEST(Router, TakesEachLimitFromTheMostSpecificException) {
  const Router router({mxConnector("internet", {{"*", 1}})},
                      {exception({"example.org"}, 1), exception({".example.org"}, 2),
                       exception({"mx:mx.example.net"}, 3), exception({"mx:*.example.net"}, 4),
                       exception({"mx:*.a.example.net"}, 5), exception({".org"}, 6)});
  EXPECT_EQ(connectionsFor(router, "example.org", {"mx.example.net"}), 1);
  EXPECT_EQ(connectionsFor(router, "sub.example.org", {"mx.example.net"}), 2);
  EXPECT_EQ(connectionsFor(router, "other.org"), 6);
  EXPECT_EQ(connectionsFor(router, "example.com", {"mx.example.net"}), 3);
  EXPECT_EQ(connectionsFor(router, "example.com", {"mx2.example.net"}), 4);
  EXPECT_EQ(connectionsFor(router, "example.com", {"x.y.a.example.net"}), 5);
  EXPECT_EQ(connectionsFor(router, "example.com", {"elsewhere.test", "q.a.example.net"}), 5);
  EXPECT_EQ(connectionsFor(router, "example.com", {"example.net"}), 20);
}

TEST(Router, LeavesWhatTheMoreSpecificExceptionDoesNotSetToTheNext) {
  DestinationConfig broad = exception({".example.org"}, 7);
  broad.tls = SendTls::Verify;
  DestinationConfig narrow;
  narrow.match = {"a.example.org"};
  narrow.max_messages_per_connection = 5;
  const Router router({mxConnector("internet", {{"*", 1}})}, {narrow, broad});
  const DeliveryLimits limits =
      router.limitsFor(*router.connector("internet"), "a.example.org", {});
  EXPECT_EQ(limits.max_messages_per_connection, 5);
  EXPECT_EQ(limits.max_connections, 7);
  EXPECT_EQ(limits.tls, SendTls::Verify);
  EXPECT_EQ(limits.max_recipients_per_transaction, 100);
}

TEST(Router, LetsTheLaterOfTwoEqualExceptionsWin) {
  const Router router(
      {mxConnector("internet", {{"*", 1}})},
      {exception({"a.test", "mx:*.b.test"}, 1), exception({"a.test", "mx:*.b.test"}, 2)});
  EXPECT_EQ(connectionsFor(router, "a.test"), 2);
  EXPECT_EQ(connectionsFor(router, "c.test", {"x.b.test"}), 2);
}

TEST(Router, AppliesNoDomainExceptionToADestinationOfManyDomains) {
  const Router router({mxConnector("internet", {{"*", 1}})},
                      {exception({"*"}, 1), exception({"mx:*.b.test"}, 2)});
  EXPECT_EQ(connectionsFor(router, "", {"x.b.test"}), 2);
  EXPECT_EQ(connectionsFor(router, "", {"c.test"}), 20);
  EXPECT_EQ(connectionsFor(router, "d.test", {"c.test"}), 1);
}

TEST(HostMatches, LetsAStarStandForOneCharacterOrMore) {
  EXPECT_TRUE(hostMatches("*.mail.example.net", "a.mail.example.net"));
  EXPECT_TRUE(hostMatches("*.mail.example.net", "a.b.mail.example.net"));
  EXPECT_FALSE(hostMatches("*.mail.example.net", "mail.example.net"));
  EXPECT_FALSE(hostMatches("*.mail.example.net", ".mail.example.net"));
  EXPECT_FALSE(hostMatches("*.mail.example.net", "a.mail.example.net.evil.test"));
  EXPECT_TRUE(hostMatches("mx*.example.net", "mx10.example.net"));
  EXPECT_FALSE(hostMatches("mx*.example.net", "mx.example.net"));
  EXPECT_TRUE(hostMatches("*a*a", "baba"));
  EXPECT_FALSE(hostMatches("*b*", "b"));
  EXPECT_TRUE(hostMatches("mx.test", "mx.test"));
  EXPECT_FALSE(hostMatches("mx.test", "mx.tes"));
  EXPECT_FALSE(hostMatches("", ""));
  EXPECT_TRUE(hostMatches("*", "x"));
}

TEST(HostMatches, EndsSoonOnHostileNames) {
  const std::string host(255, 'a');
  std::string pattern;
  for (int i = 0; i < 60; ++i) pattern += "*a";
  EXPECT_FALSE(hostMatches(pattern + "b", host));
}

}  // namespace
}  // namespace sluice::relay
