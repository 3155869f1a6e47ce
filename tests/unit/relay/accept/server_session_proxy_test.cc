// Sessions of proxies that speak for others by XCLIENT, and clients that err again and again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "relay/accept/server_session.h"
#include "tests/unit/relay/accept/accept_fakes.h"

namespace sluice::relay {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class ProxySession : public ServerSession::Owner {
 public:
  explicit ProxySession(ReceiveConfig connector = {}) {
    connector.xclient_networks = {IpNetwork::parse("203.0.113.0/24").value()};
    session = std::make_unique<ServerSession>(context, settingsOf(std::move(connector)),
                                              std::make_unique<FakeStream>(stream, "203.0.113.9:1"),
                                              static_cast<ServerSession::Owner&>(*this));
    say("EHLO proxy.test\r\n");
  }
  ~ProxySession() override { session.reset(); }
  void onSessionOver(ServerSession&) override { ++overs; }
  bool onClientChanged(ServerSession& changed, const IpAddress& before) override {
    moves += before.toString() + ">" + changed.client().address.toString() + " ";
    return true;
  }
  std::string say(std::string_view bytes) {
    stream.take();
    stream.receive(bytes);
    return stream.take();
  }
  std::string rcpt() {
    say("EHLO client.test\r\nMAIL FROM:<a@b.test>\r\n");
    return say("RCPT TO:<c@d.test>\r\n");
  }

  std::unique_ptr<net::Loop> loop = std::move(net::Loop::create().value());
  FakeQueue queue;
  FakeLog log;
  AcceptMetrics metrics;
  StreamRecord stream;
  AcceptContext context{*loop, queue, log, metrics, routerOf()};
  std::unique_ptr<ServerSession> session;
  std::string moves;
  int overs = 0;
};

TEST(ProxySession, RelaysByTheAddressThatXClientGives) {
  ProxySession proxy;
  EXPECT_THAT(proxy.rcpt(), StartsWith("550 5.7.1"));
  proxy.say("RSET\r\n");
  EXPECT_EQ(proxy.say("XCLIENT ADDR=127.0.0.1 PORT=99\r\n"), "220 relay.test ESMTP Sluice\r\n");
  EXPECT_EQ(proxy.moves, "203.0.113.9>127.0.0.1 ");
  EXPECT_THAT(proxy.rcpt(), StartsWith("250 "));
}

TEST(ProxySession, WritesTheClientIntoReceivedAndTheLog) {
  ProxySession proxy;
  proxy.say("XCLIENT ADDR=127.0.0.1 PORT=99 NAME=app.test HELO=app PROTO=SMTP\r\n");
  proxy.say("MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n");
  EXPECT_THAT(proxy.say("a: b\r\n.\r\n"), StartsWith("250 2.0.0"));
  EXPECT_THAT(
      proxy.queue.commits.at(0).content,
      StartsWith("Received: from app (app.test [127.0.0.1])\r\n\tby relay.test with SMTP "));
  EXPECT_EQ(proxy.log.messages.back().address, "127.0.0.1:99");
}

TEST(ProxySession, NeverTakesAnUnknownAddressForAnybodys) {
  ReceiveConfig connector;
  connector.relay_networks = {IpNetwork::parse("0.0.0.0/1").value(),
                              IpNetwork::parse("128.0.0.0/1").value()};
  ProxySession proxy(connector);
  EXPECT_THAT(proxy.say("XCLIENT ADDR=[UNAVAILABLE]\r\n"), StartsWith("220 "));
  EXPECT_THAT(proxy.rcpt(), StartsWith("550 5.7.1"));
  EXPECT_EQ(proxy.log.messages.back().address, "unknown");
}

TEST(ProxySession, LetsALoginRelayUntilItIsTakenBack) {
  ProxySession proxy;
  proxy.say("XCLIENT ADDR=192.0.2.1 LOGIN=ann\r\n");
  EXPECT_THAT(proxy.rcpt(), StartsWith("250 "));
  proxy.say("RSET\r\n");
  proxy.say("XCLIENT LOGIN=[UNAVAILABLE]\r\n");
  EXPECT_THAT(proxy.rcpt(), StartsWith("550 5.7.1"));
}

TEST(ProxySession, MaySpeakForTheNextClientWhateverTheFirstOneIs) {
  ProxySession proxy;
  proxy.say("XCLIENT ADDR=127.0.0.1\r\n");
  EXPECT_THAT(proxy.say("EHLO a.test\r\n"), HasSubstr("250-XCLIENT "));
  EXPECT_THAT(proxy.say("XCLIENT ADDR=IPV6:2001:db8::1\r\n"), StartsWith("220 "));
  EXPECT_EQ(proxy.moves, "203.0.113.9>127.0.0.1 127.0.0.1>2001:db8::1 ");
  EXPECT_THAT(proxy.rcpt(), StartsWith("550 5.7.1"));
}

TEST(ServerSession, HoldsRepliesBackFromWhoErrsAgainAndAgain) {
  ReceiveConfig connector;
  connector.max_errors = 4;
  connector.error_delay = milliseconds(20);
  ProxySession client(connector);
  EXPECT_THAT(client.say("FOO\r\nFOO\r\n"), StartsWith("500 "));
  EXPECT_FALSE(client.stream.paused);
  EXPECT_EQ(client.say("FOO\r\n"), "") << "at once";
  EXPECT_TRUE(client.stream.paused);
  EXPECT_TRUE(turnUntil(*client.loop, [&] { return !client.stream.written.empty(); }));
  EXPECT_THAT(client.stream.take(), StartsWith("500 "));
  EXPECT_FALSE(client.stream.paused);
  EXPECT_EQ(client.metrics.held_back.value(), 1u);
  client.say("FOO\r\n");
  EXPECT_TRUE(turnUntil(*client.loop, [&] { return client.overs == 1; }));
  EXPECT_THAT(client.stream.take(), HasSubstr("421 4.7.0"));
}

TEST(ServerSession, AnswersLateAlsoWhoHasClosedItsSide) {
  ReceiveConfig connector;
  connector.max_errors = 4;
  connector.error_delay = milliseconds(20);
  ProxySession client(connector);
  EXPECT_EQ(client.say("FOO\r\nFOO\r\nFOO\r\n"), "");
  client.stream.finishPeer();
  EXPECT_EQ(client.overs, 0);
  EXPECT_TRUE(turnUntil(*client.loop, [&] { return client.overs == 1; }));
  EXPECT_THAT(client.stream.take(), HasSubstr("500 5.5.1"));
}

TEST(ServerSession, HoldsNothingBackWithoutAnErrorDelay) {
  ReceiveConfig connector;
  connector.max_errors = 4;
  connector.error_delay = milliseconds(0);
  ProxySession client(connector);
  EXPECT_THAT(client.say("FOO\r\nFOO\r\nFOO\r\nFOO\r\n"), HasSubstr("421 4.7.0"));
}

}  // namespace
}  // namespace sluice::relay
