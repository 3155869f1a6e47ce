// Sessions that sign: what is signed, that a slow signature is waited for, and who may go
// meanwhile.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "relay/accept/server_session.h"
#include "tests/unit/relay/accept/accept_fakes.h"

namespace sluice::relay {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

class SigningServer : public ServerSession::Owner {
 public:
  explicit SigningServer(std::shared_ptr<const net::SigningKey> key, ReceiveConfig connector = {}) {
    context.dkim = DkimKeys::from({{"b.test", "s1", "", key}});
    context.signing = &pool;
    session =
        std::make_unique<ServerSession>(context, settingsOf(std::move(connector)),
                                        std::make_unique<FakeStream>(stream, "127.0.0.1:4711"),
                                        static_cast<ServerSession::Owner&>(*this));
    say("EHLO client.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n");
  }
  ~SigningServer() override { session.reset(); }
  void onSessionOver(ServerSession&) override { ++overs; }
  bool onClientChanged(ServerSession&, const IpAddress&) override { return true; }
  std::string say(std::string_view bytes) {
    stream.receive(bytes);
    return stream.take();
  }

  std::unique_ptr<net::Loop> loop = std::move(net::Loop::create().value());
  SigningPool pool{1};
  FakeQueue queue;
  FakeLog log;
  AcceptMetrics metrics;
  StreamRecord stream;
  AcceptContext context{*loop, queue, log, metrics, routerOf()};
  std::unique_ptr<ServerSession> session;
  int overs = 0;
};

const auto& quick() {
  static const auto key = *net::SigningKey::makeEd25519();
  return key;
}
const auto& slow() {
  static const auto key = *net::SigningKey::makeRsa(2048);
  return key;
}
constexpr std::string_view kOurs = "From: a@b.test\r\n\r\nbody\r\n.\r\n";

TEST(SigningSession, PutsTheSignatureIntoTheEnvelope) {
  SigningServer server(quick());
  EXPECT_THAT(server.say(kOurs), StartsWith("250 2.0.0 Queued as"));
  ASSERT_EQ(server.queue.commits.size(), 1u);
  const Committed& message = server.queue.commits.front();
  EXPECT_THAT(message.envelope.front_fields, StartsWith("DKIM-Signature: v=1; a=ed25519-sha256;"));
  EXPECT_THAT(message.envelope.front_fields, HasSubstr("\r\n\td=b.test;"));
  EXPECT_THAT(message.content, StartsWith("Received: "));
  EXPECT_EQ(message.envelope.content_bytes,
            message.content.size() + message.envelope.front_fields.size());
  EXPECT_EQ(server.metrics.signed_messages.value(), 1u);
}

TEST(SigningSession, CommitsNothingBeforeASlowSignatureIsThere) {
  SigningServer server(slow());
  EXPECT_EQ(server.say(kOurs), "");
  EXPECT_THAT(server.queue.commits, IsEmpty());
  ASSERT_TRUE(turnUntil(*server.loop, [&] { return !server.stream.written.empty(); }));
  EXPECT_THAT(server.stream.take(), StartsWith("250 2.0.0 Queued as"));
  ASSERT_EQ(server.queue.commits.size(), 1u);
  EXPECT_THAT(server.queue.commits[0].envelope.front_fields, HasSubstr("a=rsa-sha256;"));
  EXPECT_THAT(server.say("MAIL FROM:<a@b.test>\r\n"), StartsWith("250 "));
}

TEST(SigningSession, TakesAMessageWhoseClientGoesWhileItIsSigned) {
  SigningServer server(slow());
  server.say(kOurs);
  server.stream.end();
  EXPECT_EQ(server.overs, 0);
  ASSERT_TRUE(turnUntil(*server.loop, [&] { return server.overs == 1; }));
  ASSERT_EQ(server.queue.commits.size(), 1u);
  ASSERT_FALSE(server.log.messages.empty());
  EXPECT_EQ(server.log.messages.back().event, "accepted");
}

TEST(SigningSession, MayEndWhileItsMessageIsSigned) {
  SigningServer server(slow());
  server.say(kOurs);
  server.session.reset();
  EXPECT_EQ(server.queue.incomings, 0);
  bool later = false;  // behind the signature, on one thread
  DkimSigner signer(DkimKeys::from({{"b.test", "s", "", slow()}}));
  signer.append("From: a@b.test\r\n\r\n");
  server.pool.sign(signer.finish({}), *server.loop, [&](const auto&) { later = true; });
  ASSERT_TRUE(turnUntil(*server.loop, [&] { return later; }));
  EXPECT_THAT(server.queue.commits, IsEmpty());
}

TEST(SigningSession, LeavesMailOfOthersUnsigned) {
  SigningServer server(quick());
  EXPECT_THAT(server.say("From: a@other.test\r\n\r\nbody\r\n.\r\n"), StartsWith("250 "));
  EXPECT_EQ(server.queue.commits.at(0).envelope.front_fields, "");
  EXPECT_EQ(server.metrics.unsigned_messages.value(), 1u);
}

TEST(SigningSession, CoversTheFieldsThatItAdds) {
  ReceiveConfig connector;
  connector.add_missing_headers = true;
  SigningServer server(quick(), connector);
  server.say(kOurs);
  EXPECT_THAT(server.queue.commits.at(0).envelope.front_fields, HasSubstr("date:date:message-id"));
}

TEST(SigningSession, SignsWithTheKeysThatThereAreWhenTheContentBegins) {
  SigningServer server(quick());
  server.context.dkim = DkimKeys::from({{"b.test", "s2", "", quick()}});
  server.say(kOurs);
  server.say("MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n");
  server.say(kOurs);
  ASSERT_EQ(server.queue.commits.size(), 2u);
  EXPECT_THAT(server.queue.commits[0].envelope.front_fields, HasSubstr("s=s1;"));
  EXPECT_THAT(server.queue.commits[1].envelope.front_fields, HasSubstr("s=s2;"));
}

}  // namespace
}  // namespace sluice::relay
