// A session that comes under TLS, with a client of ours at the other end of a pipe.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/tls/tls_stream.h"
#include "relay/accept/server_session.h"
#include "tests/unit/net/tls/tls_fakes.h"
#include "tests/unit/relay/accept/accept_fakes.h"

namespace sluice::relay {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct Client : net::Stream::Handler {
  std::string bytes;
  std::optional<Error> end;
  void onRead(std::string_view more) override { bytes.append(more); }
  void onEnd(const Error& why) override { end = why; }
  std::string take() { return std::exchange(bytes, {}); }
};

struct UnderTls : testing::Test, ServerSession::Owner {
  std::unique_ptr<net::Loop> loop = std::move(net::Loop::create().value());
  net::MadeCertificate certificate{"relay.test", "DNS:relay.test"};
  FakeQueue queue;
  FakeLog log;
  AcceptMetrics metrics;
  AcceptContext context{*loop, queue, log, metrics, routerOf()};
  net::Pipe pipe;
  net::PipeEnd plain{pipe, 0};  // the client's end
  Client heard;
  std::unique_ptr<net::TlsStream> client;
  std::unique_ptr<ServerSession> session;
  int overs = 0;

  void onSessionOver(ServerSession&) override { ++overs; }
  bool onClientChanged(ServerSession&, const IpAddress&) override { return true; }

  void begin(ReceiveTls tls, milliseconds command_timeout = milliseconds(300'000)) {
    ReceiveConfig connector;
    connector.tls = tls;
    connector.command_timeout = command_timeout;
    connector.relay_networks = {IpNetwork::parse("192.0.2.0/24").value()};  // the pipe's address
    net::TlsServerOptions options;
    options.identities.push_back(std::move(*net::TlsIdentity::of(
        *net::TlsCertificates::parse(certificate.pem()), certificate.keyPem())));
    const Config config = configOf(connector);
    const auto settings = ReceiveSettings::from(
        config, config.receive.front(),
        *net::TlsServerContext::create(options, std::make_shared<net::TicketKeys>()));
    plain.setHandler(&heard);
    session =
        std::make_unique<ServerSession>(context, settings, std::make_unique<net::PipeEnd>(pipe, 1),
                                        static_cast<ServerSession::Owner&>(*this));
    pipe.run(*loop);
  }
  void TearDown() override {
    client.reset();
    session.reset();
  }

  std::string say(std::string_view text) {
    net::Stream& stream = client ? static_cast<net::Stream&>(*client) : plain;
    stream.write(text);
    stream.flush();
    pipe.run(*loop);
    return heard.take();
  }
  void shakeHands() {
    auto made = net::TlsStream::client(*loop, std::make_unique<net::PipeEnd>(pipe, 0),
                                       *net::TlsClientContext::create(std::nullopt),
                                       {"relay.test", 25, false}, [] {});
    client = std::move(*made);
    client->setHandler(&heard);
    pipe.run(*loop);
  }
};

TEST_F(UnderTls, TakesMailAndSaysSo) {
  begin(ReceiveTls::StartTls);
  EXPECT_THAT(heard.take(), StartsWith("220 "));
  EXPECT_THAT(say("EHLO c\r\n"), HasSubstr("250-STARTTLS"));
  EXPECT_THAT(say("STARTTLS\r\n"), StartsWith("220 "));
  shakeHands();
  ASSERT_TRUE(client->ready());
  EXPECT_THAT(say("MAIL FROM:<a@b.test>\r\n"), StartsWith("503 ")) << "EHLO is forgotten";
  EXPECT_THAT(say("EHLO c\r\n"), Not(HasSubstr("STARTTLS")));
  EXPECT_THAT(say("STARTTLS\r\n"), StartsWith("503 "));
  say("MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n");
  EXPECT_THAT(say("a: b\r\n\r\nx\r\n.\r\n"), StartsWith("250 2.0.0 Queued"));
  ASSERT_EQ(queue.commits.size(), 1u);
  EXPECT_THAT(queue.commits[0].content, HasSubstr("with ESMTPS (TLSv1.3 TLS_"));
  ASSERT_EQ(log.messages.size(), 1u);
  EXPECT_EQ(log.messages.back().tls, "TLSv1.3");
  EXPECT_EQ(metrics.tls.sessions[1][0].value(), 1u);
}

TEST_F(UnderTls, RefusesWhatIsSentBehindStartTls) {
  begin(ReceiveTls::StartTls);
  say("EHLO c\r\n");
  const std::string replies = say("STARTTLS\r\nMAIL FROM:<evil@b.test>\r\n");
  EXPECT_THAT(replies, StartsWith("421 "));
  EXPECT_EQ(overs, 1);
  EXPECT_TRUE(queue.commits.empty());
}

TEST_F(UnderTls, AnswersNothingThatCameInClearBeforeTheHandshake) {
  begin(ReceiveTls::StartTls);
  say("EHLO c\r\n");
  say("STARTTLS\r\n");
  const std::string replies = say("NOOP\r\nMAIL FROM:<evil@b.test>\r\n");
  EXPECT_THAT(replies, Not(HasSubstr("250")));
  EXPECT_EQ(overs, 1);
  ASSERT_FALSE(log.events.empty());
  EXPECT_EQ(log.events.back().event, "tls_failed");
}

TEST_F(UnderTls, GreetsUnderImplicitTlsOnly) {
  begin(ReceiveTls::Implicit);
  EXPECT_EQ(heard.take(), "");
  shakeHands();
  EXPECT_THAT(heard.take(), StartsWith("220 "));
  EXPECT_THAT(say("EHLO c\r\n"), Not(HasSubstr("STARTTLS")));
  EXPECT_THAT(say("QUIT\r\n"), StartsWith("221 "));
  EXPECT_EQ(overs, 1);
}

TEST_F(UnderTls, TakesNoMailInClearWhereTlsIsRequired) {
  begin(ReceiveTls::StartTlsRequired);
  say("EHLO c\r\n");
  EXPECT_THAT(say("MAIL FROM:<a@b.test>\r\n"), StartsWith("530 5.7.0"));
  say("STARTTLS\r\n");
  shakeHands();
  say("EHLO c\r\n");
  EXPECT_THAT(say("MAIL FROM:<a@b.test>\r\n"), StartsWith("250 "));
}

TEST_F(UnderTls, WaitsForAHandshakeNotForEver) {
  begin(ReceiveTls::Implicit, milliseconds(30));
  EXPECT_TRUE(turnUntil(*loop, [this] { return overs == 1; }));
  EXPECT_EQ(log.events.back().event, "tls_failed");
  EXPECT_EQ(metrics.timeouts.value(), 1u);
}

TEST_F(UnderTls, DrainsAsSoonAsTheHandshakeIsDone) {
  begin(ReceiveTls::Implicit);
  session->drain();
  EXPECT_EQ(overs, 0);
  shakeHands();
  EXPECT_THAT(heard.take(), HasSubstr("421 4.3.2"));
  EXPECT_EQ(overs, 1);
}

TEST_F(UnderTls, EndsWhenTheClientLeavesInTheHandshake) {
  begin(ReceiveTls::Implicit);
  plain.close();
  pipe.run(*loop);
  EXPECT_EQ(overs, 1);
}

}  // namespace
}  // namespace sluice::relay
