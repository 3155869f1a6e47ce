// What XCLIENT and TLS make of a session.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/smtp/server_protocol.h"

namespace sluice::smtp {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class Proxy : public ServerEvents {
 public:
  explicit Proxy(bool permitted, ServerSettings given = {})
      : settings(std::move(given)), protocol(settings, *this) {
    settings.hostname = "relay.test";
    if (permitted) protocol.permitXClient();
    protocol.greet();
    protocol.outputTaken();
  }
  std::string say(std::string_view bytes) {
    protocol.feed(bytes);
    std::string out(protocol.output());
    protocol.outputTaken();
    return out;
  }
  void onHello(std::string_view, bool) override {}
  void onMail(const MailCommand&) override { protocol.reply({250, {2, 1, 0}, "OK"}); }
  void onRcpt(const RcptCommand&) override { protocol.reply({250, {2, 1, 5}, "OK"}); }
  void onContentBegin() override {}
  void onContent(std::string_view) override {}
  void onHeaderEnd(const ContentFindings&) override {}
  void onContentDropped() override {}
  void onContentEnd(uint64_t, const ContentFindings&) override {}
  void onTransactionEnd() override {}
  void onRefused(Verb, std::string_view, const ServerReply&) override {}
  void onXClient(const XClientCommand& said) override {
    ++times;
    std::optional<bool> hello;
    if (said.hello) hello = said.extended.value_or(true);
    protocol.restart(hello, said.login && !said.login->empty());
  }

  ServerSettings settings;
  ServerProtocol protocol;
  int times = 0;
};

TEST(ServerIdentity, OffersXClientToThoseWhoMayOnly) {
  Proxy stranger(false);
  EXPECT_THAT(stranger.say("EHLO p.test\r\n"), Not(HasSubstr("XCLIENT")));
  EXPECT_THAT(stranger.say("XCLIENT ADDR=192.0.2.1\r\n"), StartsWith("550 5.7.0"));
  EXPECT_EQ(stranger.times, 0);
  Proxy proxy(true);
  EXPECT_THAT(proxy.say("EHLO p.test\r\n"),
              HasSubstr("250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\r\n"));
}

TEST(ServerIdentity, GreetsTheClientThatXClientNamesAndForgetsTheProxy) {
  Proxy proxy(true);
  proxy.say("EHLO p.test\r\n");
  EXPECT_EQ(proxy.say("XCLIENT ADDR=192.0.2.1 NAME=a.test\r\n"), "220 relay.test ESMTP Sluice\r\n");
  EXPECT_THAT(proxy.say("MAIL FROM:<a@b.test>\r\n"), StartsWith("503 5.5.1"));
  EXPECT_THAT(proxy.say("EHLO a.test\r\nMAIL FROM:<a@b.test>\r\n"), HasSubstr("\r\n250 2.1.0"));
}

TEST(ServerIdentity, TakesMailWithoutHelloWhereXClientSaidIt) {
  Proxy proxy(true);
  EXPECT_THAT(proxy.say("XCLIENT HELO=a.test PROTO=SMTP\r\n"), StartsWith("220 "));
  EXPECT_FALSE(proxy.protocol.extended());
  EXPECT_THAT(proxy.say("MAIL FROM:<a@b.test>\r\n"), StartsWith("250 "));
}

TEST(ServerIdentity, TakesNoXClientWithinATransactionNorAnyThatIsMalformed) {
  Proxy proxy(true);
  proxy.say("EHLO p.test\r\n");
  EXPECT_THAT(proxy.say("XCLIENT ADDR=nonsense\r\n"), StartsWith("501 5.5.4"));
  proxy.say("MAIL FROM:<a@b.test>\r\n");
  EXPECT_THAT(proxy.say("XCLIENT ADDR=192.0.2.1\r\n"), StartsWith("503 5.5.1"));
  EXPECT_EQ(proxy.times, 0);
}

TEST(ServerIdentity, CountsALoginThatXClientVouchesFor) {
  ServerSettings settings;
  settings.auth_required = true;
  Proxy proxy(true, settings);
  proxy.say("XCLIENT HELO=a.test\r\n");
  EXPECT_THAT(proxy.say("MAIL FROM:<a@b.test>\r\n"), StartsWith("530 5.7.0"));
  proxy.say("XCLIENT HELO=a.test LOGIN=ann\r\n");
  EXPECT_THAT(proxy.say("MAIL FROM:<a@b.test>\r\n"), StartsWith("250 "));
}

TEST(ServerIdentity, AnswersPipelinedXClientInOrder) {
  Proxy proxy(true);
  EXPECT_THAT(proxy.say("XCLIENT ADDR=192.0.2.1\r\nXCLIENT NAME=a.test\r\nNOOP\r\n"),
              "220 relay.test ESMTP Sluice\r\n220 relay.test ESMTP Sluice\r\n250 2.0.0 OK\r\n");
  EXPECT_EQ(proxy.times, 2);
}

TEST(ServerIdentity, OffersMechanismsThatBindWhereThereIsWhatToBindTo) {
  ServerSettings settings;
  settings.auth = AuthOffer::Always;
  settings.auth_mechanisms = "PLAIN";
  settings.auth_mechanisms_bound = "SCRAM-SHA-256-PLUS";
  settings.starttls = true;
  for (const bool bound : {false, true}) {
    Proxy client(false, settings);
    EXPECT_THAT(client.say("EHLO a.test\r\n"), HasSubstr("250-AUTH PLAIN\r\n"));
    client.say("STARTTLS\r\n");
    client.protocol.tlsStarted(bound);
    EXPECT_THAT(client.say("EHLO a.test\r\n"),
                HasSubstr(bound ? "250-AUTH PLAIN SCRAM-SHA-256-PLUS\r\n" : "250-AUTH PLAIN\r\n"));
  }
}

// A proxy that is not known as one: what it says would be taken for the proxy's own.
TEST(ServerIdentity, EndsADialogueWithAProxyThatIsNotKnown) {
  Proxy peer(false);
  EXPECT_THAT(peer.say("PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\nEHLO a.test\r\n"),
              StartsWith("421 4.7.0"));
  EXPECT_EQ(peer.protocol.phase(), ServerProtocol::Phase::Closing);
}

}  // namespace
}  // namespace sluice::smtp
