#include "relay/accept/receive_connector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/relay/accept/accept_fakes.h"

namespace sluice::relay {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class Port {
 public:
  explicit Port(ReceiveConfig config = {}, milliseconds drain_timeout = milliseconds(30'000)) {
    auto settings = std::make_shared<ReceiveSettings>(*settingsOf(std::move(config)));
    settings->drain_timeout = drain_timeout;
    connector = std::make_unique<ReceiveConnector>(
        AcceptContext{*loop, queue, log, metrics, routerOf()}, settings, count);
  }
  ~Port() { connector.reset(); }
  StreamRecord& connect(const std::string& peer = "127.0.0.1:1") {
    streams.emplace_back();
    connector->accept(std::make_unique<FakeStream>(streams.back(), peer));
    return streams.back();
  }
  static std::string say(StreamRecord& stream, std::string_view bytes) {
    stream.receive(bytes);
    return stream.take();
  }

  std::unique_ptr<net::Loop> loop = std::move(net::Loop::create().value());
  FakeQueue queue;
  FakeLog log;
  AcceptMetrics metrics;
  ConnectionCount count;
  std::deque<StreamRecord> streams;
  std::unique_ptr<ReceiveConnector> connector;
};

TEST(ReceiveConnector, GreetsWhoConnects) {
  Port port;
  EXPECT_EQ(port.connect().take(), "220 relay.test ESMTP Sluice\r\n");
  EXPECT_EQ(port.connector->sessions(), 1u);
  EXPECT_EQ(port.metrics.connections.value(), 1);
}

TEST(ReceiveConnector, RefusesWhoTalksBeforeTheGreeting) {
  Port port;
  port.streams.emplace_back().input_waits = true;
  StreamRecord& stream = port.streams.back();
  port.connector->accept(std::make_unique<FakeStream>(stream, "127.0.0.1:1"));
  EXPECT_EQ(stream.take(), "554 5.5.0 Wait for the greeting before you talk\r\n");
  EXPECT_TRUE(stream.finished);
  EXPECT_EQ(port.connector->sessions(), 0u);
  EXPECT_EQ(port.count.total(), 0);
  EXPECT_EQ(port.metrics.early_talkers.value(), 1u);
}

TEST(ReceiveConnector, ForgetsWhoLeft) {
  Port port;
  StreamRecord& first = port.connect();
  StreamRecord& second = port.connect();
  StreamRecord& third = port.connect();
  second.end();
  Port::say(third, "QUIT\r\n");
  Port::say(first, "QUIT\r\n");
  EXPECT_EQ(port.connector->sessions(), 0u);
  EXPECT_EQ(port.metrics.connections.value(), 0);
  EXPECT_EQ(port.count.total(), 0);
  turn(*port.loop);
  EXPECT_THAT(port.connect().take(), StartsWith("220 "));
}

TEST(ReceiveConnector, TurnsAwayWhatIsTooMuch) {
  ReceiveConfig config;
  config.max_connections = 2;
  Port port(config);
  port.connect();
  StreamRecord& second = port.connect();
  StreamRecord& third = port.connect();
  EXPECT_THAT(third.take(), StartsWith("421 4.3.2 "));
  EXPECT_TRUE(third.finished);
  EXPECT_EQ(port.metrics.shed_connections.value(), 1u);
  second.end();
  EXPECT_THAT(port.connect().take(), StartsWith("220 "));
}

TEST(ReceiveConnector, BoundsEachClient) {
  ReceiveConfig config;
  config.max_connections_per_client = 1;
  Port port(config);
  StreamRecord& first = port.connect("127.0.0.1:1");
  EXPECT_THAT(port.connect("127.0.0.1:2").take(), StartsWith("421 4.7.0 "));
  EXPECT_THAT(port.connect("127.0.0.2:1").take(), StartsWith("220 "));
  EXPECT_THAT(port.connect("[2001:db8::1]:1").take(), StartsWith("220 "));
  EXPECT_THAT(port.connect("[2001:db8::2]:1").take(), StartsWith("421 "));
  first.end();
  EXPECT_THAT(port.connect("127.0.0.1:3").take(), StartsWith("220 "));
}

TEST(ReceiveConnector, SharesItsLimitWithOtherShards) {
  ReceiveConfig config;
  config.max_connections = 1;
  Port port(config);
  ReceiveConnector other(AcceptContext{*port.loop, port.queue, port.log, port.metrics, routerOf()},
                         settingsOf(config), port.count);
  port.connect();
  StreamRecord stream;
  other.accept(std::make_unique<FakeStream>(stream, "127.0.0.1:2"));
  EXPECT_THAT(stream.take(), StartsWith("421 "));
}

TEST(ReceiveConnector, GivesNewSettingsToNewSessionsOnly) {
  Port port;
  StreamRecord& before = port.connect();
  ReceiveConfig config;
  config.max_message_size = 1000;
  port.connector->setSettings(settingsOf(config));
  StreamRecord& after = port.connect();
  EXPECT_THAT(Port::say(before, "EHLO c\r\n"), HasSubstr("SIZE 52428800\r\n"));
  EXPECT_THAT(Port::say(after, "EHLO c\r\n"), HasSubstr("SIZE 1000\r\n"));
}

TEST(ReceiveConnector, GivesANewRouterToAllSessions) {
  Port port;
  StreamRecord& stream = port.connect();
  Port::say(stream, "EHLO c\r\nMAIL FROM:<a@b.test>\r\n");
  EXPECT_THAT(Port::say(stream, "RCPT TO:<u@example.com>\r\n"), StartsWith("550 5.4.4"));
  SendConfig all;
  all.name = "all";
  all.address_spaces = {{"*", 1}};
  port.connector->setRouter(
      std::make_shared<Router>(std::vector<SendConfig>{all}, std::vector<DestinationConfig>{}));
  EXPECT_THAT(Port::say(stream, "RCPT TO:<u@example.com>\r\n"), StartsWith("250 2.1.5"));
}

TEST(Drain, EndsIdleSessionsAtOnceAndTakesNoNewOnes) {
  Port port;
  StreamRecord& idle = port.connect();
  idle.take();
  bool done = false;
  port.connector->drain([&] { done = true; });
  EXPECT_THAT(idle.take(), StartsWith("421 4.3.2 "));
  EXPECT_TRUE(idle.finished);
  EXPECT_THAT(port.connect().take(), StartsWith("421 4.3.2 "));
  turn(*port.loop);
  EXPECT_TRUE(done);
}

TEST(Drain, LetsTransactionsFinish) {
  Port port;
  port.queue.at_once = false;
  StreamRecord& busy = port.connect();
  Port::say(busy, "EHLO c\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n");
  bool done = false;
  port.connector->drain([&] { done = true; });
  turn(*port.loop);
  EXPECT_THAT(Port::say(busy, "DATA\r\na: b\r\n.\r\n"), StartsWith("354 "));
  EXPECT_FALSE(done);
  port.queue.complete();
  EXPECT_THAT(busy.take(), HasSubstr("\r\n421 4.3.2 "));
  EXPECT_TRUE(busy.finished);
  turn(*port.loop);
  EXPECT_TRUE(done);
}

TEST(Drain, CutsWhoTakesTooLongButAnswersWhoIsPastItsDot) {
  Port port({}, milliseconds(30));
  port.queue.at_once = false;
  StreamRecord& slow = port.connect();
  StreamRecord& committing = port.connect();
  for (StreamRecord* stream : {&slow, &committing}) {
    Port::say(*stream, "EHLO c\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\na: b\r\n");
  }
  Port::say(committing, ".\r\n");
  bool done = false;
  port.connector->drain([&] { done = true; });
  ASSERT_TRUE(turnUntil(*port.loop, [&] { return slow.finished; }));
  EXPECT_THAT(slow.take(), StartsWith("421 4.3.2 "));
  EXPECT_TRUE(committing.open());
  EXPECT_FALSE(done);
  port.queue.complete();
  EXPECT_THAT(committing.take(), StartsWith("250 2.0.0 Queued as "));
  turn(*port.loop);
  EXPECT_TRUE(done);
}

TEST(Drain, IsDoneAtOnceWhenNobodyIsThere) {
  Port port;
  bool done = false;
  port.connector->drain([&] {
    done = true;
    port.connector.reset();
  });
  turn(*port.loop);
  EXPECT_TRUE(done);
}

TEST(Drain, WaitsForACommitOfAClientThatIsGone) {
  Port port;
  port.queue.at_once = false;
  StreamRecord& stream = port.connect();
  Port::say(stream,
            "EHLO c\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\na: b\r\n.\r\n");
  stream.end(Errc::Reset);
  bool done = false;
  port.connector->drain([&] { done = true; });
  turn(*port.loop);
  EXPECT_FALSE(done);
  port.queue.complete();
  turn(*port.loop);
  EXPECT_TRUE(done);
}

class ProxyPort : public Port {
 public:
  explicit ProxyPort(ReceiveConfig config = {}) : Port(behindProxies(std::move(config))) {}
  static ReceiveConfig behindProxies(ReceiveConfig config) {
    config.proxy_protocol_networks = {IpNetwork::parse("10.0.0.0/8").value()};
    config.relay_networks = {IpNetwork::parse("192.0.2.0/24").value(),
                             IpNetwork::parse("10.0.0.0/8").value()};
    return config;
  }
  // What a client gets to hear behind a proxy that says `header`.
  StreamRecord& connectBy(std::string_view header, const std::string& peer = "10.0.0.1:1") {
    StreamRecord& stream = connect(peer);
    EXPECT_EQ(stream.take(), "") << "greeted before the header";
    stream.receive(header);
    turn(*loop);
    return stream;
  }
  std::string rcpt(StreamRecord& stream) {
    say(stream, "EHLO client.test\r\nMAIL FROM:<a@b.test>\r\n");
    return say(stream, "RCPT TO:<c@d.test>\r\n");
  }
};

constexpr std::string_view kFriend = "PROXY TCP4 192.0.2.7 198.51.100.1 4660 25\r\n";
constexpr std::string_view kStranger = "PROXY TCP4 203.0.113.7 198.51.100.1 4660 25\r\n";

TEST(ReceiveConnector, TakesTheClientThatAProxyNames) {
  ProxyPort port;
  StreamRecord& known = port.connectBy(kFriend);
  EXPECT_EQ(known.take(), "220 relay.test ESMTP Sluice\r\n");
  EXPECT_THAT(port.rcpt(known), StartsWith("250 "));
  StreamRecord& stranger = port.connectBy(kStranger);
  EXPECT_THAT(port.rcpt(stranger), HasSubstr("550 5.7.1"));
  ASSERT_FALSE(port.log.messages.empty());
  EXPECT_EQ(port.log.messages.back().address, "203.0.113.7:4660");
}

// A health check is greeted, but who knows whom an UNKNOWN connection is for?
TEST(ReceiveConnector, RelaysNothingForAProxyThatDoesNotSayForWhom) {
  ProxyPort port;
  StreamRecord& nobody = port.connectBy("PROXY UNKNOWN\r\n");
  EXPECT_THAT(nobody.take(), StartsWith("220 "));
  EXPECT_THAT(port.rcpt(nobody), HasSubstr("550 5.7.1"));
}

TEST(ReceiveConnector, HangsUpOnAProxyThatSendsNoHeader) {
  ProxyPort port;
  StreamRecord& stream = port.connectBy("EHLO client.test\r\n");
  EXPECT_TRUE(stream.closed);
  EXPECT_EQ(stream.take(), "");
  EXPECT_EQ(port.metrics.proxy_headers.value(), 1u);
  EXPECT_EQ(port.count.total(), 0);
  EXPECT_EQ(port.connector->sessions(), 0u);
}

TEST(ReceiveConnector, WaitsForAHeaderForATimeOnly) {
  ReceiveConfig config;
  config.command_timeout = milliseconds(30);
  ProxyPort port(config);
  StreamRecord& stream = port.connect("10.0.0.1:1");
  stream.receive("PROXY TCP4 ");
  EXPECT_TRUE(turnUntil(*port.loop, [&] { return stream.closed; }));
  EXPECT_EQ(port.count.total(), 0);
}

TEST(ReceiveConnector, ForgetsAProxyThatLeavesBeforeItsHeader) {
  ProxyPort port;
  StreamRecord& stream = port.connect("10.0.0.1:1");
  stream.end();
  turn(*port.loop);
  EXPECT_EQ(port.count.total(), 0);
}

TEST(ReceiveConnector, RefusesWhoTalksBehindTheHeaderBeforeTheGreeting) {
  ProxyPort port;
  StreamRecord& stream = port.connectBy(std::string(kFriend) + "EHLO client.test\r\n");
  EXPECT_THAT(stream.take(), StartsWith("554 5.5.0"));
  EXPECT_EQ(port.count.total(), 0);
}

TEST(ReceiveConnector, CountsTheClientsBehindAProxyEachAlone) {
  ReceiveConfig config;
  config.max_connections_per_client = 1;
  ProxyPort port(config);
  EXPECT_THAT(port.connectBy(kFriend).take(), StartsWith("220 "));
  EXPECT_THAT(port.connectBy(kStranger).take(), StartsWith("220 "));
  EXPECT_THAT(port.connectBy(kFriend).take(), StartsWith("421 4.7.0"));
  EXPECT_EQ(port.count.total(), 2);
}

TEST(ReceiveConnector, CountsTheClientThatXClientNames) {
  ReceiveConfig config;
  config.max_connections_per_client = 1;
  config.xclient_networks = {IpNetwork::parse("127.0.0.1").value()};
  Port port(config);
  StreamRecord& first = port.connect("127.0.0.1:1");
  EXPECT_THAT(Port::say(first, "XCLIENT ADDR=192.0.2.1\r\n"), HasSubstr("220 "));
  StreamRecord& second = port.connect("127.0.0.1:2");
  EXPECT_THAT(Port::say(second, "XCLIENT ADDR=192.0.2.1\r\n"), HasSubstr("421 4.7.0"));
  EXPECT_TRUE(second.finished);
  EXPECT_EQ(port.count.total(), 1);
}

TEST(ReceiveConnector, DropsProxiesWithoutAHeaderWhenItDrains) {
  ProxyPort port;
  port.connect("10.0.0.1:1");
  bool done = false;
  port.connector->drain([&] { done = true; });
  turn(*port.loop);
  EXPECT_TRUE(done);
  EXPECT_EQ(port.count.total(), 0);
}

}  // namespace
}  // namespace sluice::relay
