#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "net/sasl/client_exchange.h"
#include "relay/accept/server_session.h"
#include "tests/unit/relay/accept/accept_fakes.h"

namespace sluice::relay {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// A line as `sluice passwd` makes it, but quick to check.
std::string quickLine(const std::string& name, const std::string& password,
                      const std::string& rest = "") {
  const std::string salt = "salty";
  const auto hash = net::scrypt(password, salt, 1 << 10, 1, 1).value();
  const auto keys = sasl::deriveScramKeys(password, salt, 4096).value();
  const auto scram = sasl::scramVerifier(keys, salt, 4096);
  const auto b64 = [](auto&& bytes) { return net::base64Encode(net::asView(bytes)); };
  return name + " scrypt$10$1$1$" + net::base64Encode(salt) + "$" + b64(hash) +
         " scram-sha-256$4096$" + net::base64Encode(salt) + "$" + b64(scram.stored_key) + "$" +
         b64(scram.server_key) + rest + "\n";
}

std::string plain(const std::string& user, const std::string& password) {
  return "AUTH PLAIN " + net::base64Encode('\0' + user + '\0' + password) + "\r\n";
}

class AuthScene : public ServerSession::Owner, public testing::Test {
 public:
  AuthScene() {
    std::string name = (std::filesystem::temp_directory_path() / "sluice-users-XXXXXX").string();
    folder = mkdtemp(name.data());
    connector.users_file = folder + "/users";
    connector.auth_plaintext = true;
    connector.auth_failure_delay = milliseconds{0};
    write(quickLine("ann", "secret") + quickLine("bob", "hush", " senders=bob@b.test"));
  }
  ~AuthScene() override {
    sessions.clear();
    auth.stop();
    std::filesystem::remove_all(folder);
  }
  void onSessionOver(ServerSession&) override { ++overs; }
  bool onClientChanged(ServerSession&, const IpAddress&) override { return true; }

  // Replaced as an editor does it.
  void write(const std::string& users) const {
    const std::string fresh = folder + "/fresh";
    std::ofstream(fresh) << users;
    std::filesystem::permissions(fresh, std::filesystem::perms::owner_read);
    std::filesystem::rename(fresh, connector.users_file);
  }
  void connect(const std::string& peer = "192.0.2.1:4711") {
    sessions.push_back(std::make_unique<ServerSession>(context, settingsOf(connector),
                                                       std::make_unique<FakeStream>(stream, peer),
                                                       static_cast<ServerSession::Owner&>(*this)));
    hello = say("EHLO client.test\r\n");
  }
  // The whole answer, which may come from another thread.
  std::string say(std::string_view bytes) {
    stream.take();
    stream.receive(bytes);
    EXPECT_TRUE(turnUntil(*loop, [&] { return stream.written.ends_with("\r\n"); })) << bytes;
    return stream.take();
  }
  std::string authenticate(const std::string& user, const std::string& password) {
    connect();
    return say(plain(user, password));
  }
  std::vector<std::string> eventNames() const {
    std::vector<std::string> names;
    for (const LogEvent& event : log.events) names.push_back(event.event);
    return names;
  }

  std::string folder;
  ReceiveConfig connector;
  std::unique_ptr<net::Loop> loop = std::move(net::Loop::create().value());
  FakeQueue queue;
  FakeLog log;
  AcceptMetrics metrics;
  StreamRecord stream;
  ManualClock clock;
  AuthServer auth{log, clock};
  AcceptContext context{*loop, queue, log, metrics, routerOf(), {}, nullptr, &auth};
  std::vector<std::unique_ptr<ServerSession>> sessions;
  std::string hello;
  int overs = 0;
};

TEST_F(AuthScene, OffersTheConnectorsMechanisms) {
  connect();
  EXPECT_THAT(hello, HasSubstr("250-AUTH PLAIN LOGIN SCRAM-SHA-256\r\n"));
  connector.auth_mechanisms = {"scram-sha-256"};
  connect();
  EXPECT_THAT(hello, HasSubstr("250-AUTH SCRAM-SHA-256\r\n"));
  EXPECT_THAT(say("AUTH PLAIN AGFubgBzZWNyZXQ=\r\n"), StartsWith("504 5.5.4"));
}

TEST_F(AuthScene, OffersNothingAndLooksNothingUpInClear) {
  connector.auth_plaintext = false;
  write("broken");
  connect();
  EXPECT_THAT(hello, Not(HasSubstr("AUTH")));
  EXPECT_THAT(say(plain("ann", "secret")), StartsWith("538 5.7.11"));
  EXPECT_THAT(log.events, testing::IsEmpty()) << "the users file was read";
}

TEST_F(AuthScene, LetsTheRightPasswordRelayFromAnywhere) {
  connect();
  say("MAIL FROM:<a@b.test>\r\n");
  EXPECT_THAT(say("RCPT TO:<c@d.test>\r\n"), StartsWith("550 5.7.1"));
  EXPECT_THAT(authenticate("ann", "secret"), StartsWith("235 2.7.0"));
  say("MAIL FROM:<a@b.test>\r\n");
  EXPECT_THAT(say("RCPT TO:<c@d.test>\r\n"), StartsWith("250 2.1.5"));
  say("DATA\r\n");
  EXPECT_THAT(say("a: b\r\n.\r\n"), StartsWith("250 2.0.0"));
  EXPECT_THAT(queue.commits.at(0).content, HasSubstr(" with ESMTPA id "));
  EXPECT_EQ(log.messages.back().event, "accepted");
  EXPECT_EQ(log.messages.back().user, "ann");
  EXPECT_EQ(metrics.auth_accepted.value(), 1u);
  EXPECT_THAT(say(plain("ann", "secret")), StartsWith("503 5.5.1"));
}

TEST_F(AuthScene, AnswersAWrongUserLikeAWrongPassword) {
  const std::string wrong_password = authenticate("ann", "wrong");
  const std::string wrong_user = authenticate("nobody", "secret");
  EXPECT_THAT(wrong_password, StartsWith("535 5.7.8"));
  EXPECT_EQ(wrong_password, wrong_user);
  EXPECT_THAT(eventNames(), ElementsAre("auth_failed", "auth_failed"));
  EXPECT_EQ(metrics.auth_failed.value(), 2u);
  say("MAIL FROM:<a@b.test>\r\n");
  EXPECT_THAT(say("RCPT TO:<c@d.test>\r\n"), StartsWith("550 5.7.1"));
}

TEST_F(AuthScene, SpeaksLogin) {
  connect();
  EXPECT_EQ(say("AUTH login\r\n"), "334 VXNlcm5hbWU6\r\n");
  EXPECT_EQ(say("YW5u\r\n"), "334 UGFzc3dvcmQ6\r\n");
  EXPECT_THAT(say("c2VjcmV0\r\n"), StartsWith("235 "));
}

TEST_F(AuthScene, SpeaksScram) {
  connect();
  sasl::ClientExchange client(sasl::ClientMechanism::ScramSha256, {"ann", "secret", "", 0});
  const auto challenge = [](const std::string& reply) {
    EXPECT_THAT(reply, StartsWith("334 "));
    return reply.substr(4, reply.size() - 6);
  };
  client.onChallenge(challenge(say("AUTH " + client.begin() + "\r\n")));
  const auto keys = sasl::deriveScramKeys("secret", client.salt(), client.iterations()).value();
  const auto last = client.onChallenge(challenge(say(client.onKeys(keys).line + "\r\n")));
  EXPECT_TRUE(client.complete());
  EXPECT_THAT(say(last.line + "\r\n"), StartsWith("235 "));
  say("MAIL FROM:<a@b.test>\r\n");
  EXPECT_THAT(say("RCPT TO:<c@d.test>\r\n"), StartsWith("250 2.1.5"));
}

TEST_F(AuthScene, AsksScramOfStrangersToo) {
  for (const std::string user : {"ann", "nobody"}) {
    connect();
    sasl::ClientExchange client(sasl::ClientMechanism::ScramSha256, {user, "wrong", "", 0});
    const std::string reply = say("AUTH " + client.begin() + "\r\n");
    EXPECT_EQ(client.onChallenge(reply.substr(4, reply.size() - 6)).kind,
              sasl::ClientExchange::Step::Kind::NeedKeys)
        << user;
    EXPECT_EQ(client.iterations(), 4096u) << user;
    const auto keys = sasl::deriveScramKeys("wrong", client.salt(), client.iterations()).value();
    EXPECT_THAT(say(client.onKeys(keys).line + "\r\n"), StartsWith("535 5.7.8")) << user;
  }
  EXPECT_THAT(eventNames(), ElementsAre("auth_failed", "auth_failed"));
}

TEST_F(AuthScene, EndsTheSessionAtTheThirdFailureOfAnyKind) {
  connect();
  EXPECT_THAT(say("AUTH PLAIN ====\r\n"), StartsWith("501 5.5.2"));
  EXPECT_THAT(say("AUTH PLAIN\r\n"), StartsWith("334 "));
  EXPECT_THAT(say("*\r\n"), StartsWith("501 5.7.0"));
  EXPECT_THAT(say(plain("ann", "wrong")), StartsWith("421 4.7.0"));
  EXPECT_EQ(overs, 1);
}

TEST_F(AuthScene, ShutsAnAccountAndAClientOutForATime) {
  connector.auth_lockout = {2, milliseconds{60'000}, milliseconds{600'000}};
  authenticate("ann", "wrong");
  EXPECT_THAT(say(plain("ann", "wrong")), StartsWith("535 "));
  EXPECT_THAT(eventNames(),
              ElementsAre("auth_failed", "auth_failed", "auth_locked_out", "auth_locked_out"));
  connect();
  EXPECT_THAT(say(plain("bob", "hush")), StartsWith("454 4.7.0")) << "this client";
  connect("192.0.2.2:1");
  EXPECT_THAT(say(plain("ann", "secret")), StartsWith("454 4.7.0")) << "this account";
  EXPECT_THAT(say(plain("bob", "hush")), StartsWith("235 ")) << "neither";
  EXPECT_EQ(metrics.auth_shut_out.value(), 2u);
  clock.advance(std::chrono::seconds(601));
  EXPECT_THAT(authenticate("ann", "secret"), StartsWith("235 "));
}

TEST_F(AuthScene, CountsTheGuessesOfClientsThatDoNotWait) {
  for (int i = 0; i < 3; ++i) {
    connect();
    stream.receive(plain("ann", "wrong"));
    stream.end();
  }
  EXPECT_TRUE(turnUntil(*loop, [&] { return log.events.size() == 3; }));
}

TEST_F(AuthScene, HoldsAUserToItsSenders) {
  EXPECT_THAT(authenticate("bob", "hush"), StartsWith("235 "));
  EXPECT_THAT(say("MAIL FROM:<ann@b.test>\r\n"), StartsWith("550 5.7.1"));
  EXPECT_EQ(log.messages.back().event, "refused");
  EXPECT_EQ(log.messages.back().sender, "ann@b.test");
  EXPECT_THAT(say("MAIL FROM:<>\r\n"), StartsWith("550 5.7.1"));
  EXPECT_THAT(say("MAIL FROM:<bob@B.test>\r\n"), StartsWith("250 2.1.0"));
}

TEST_F(AuthScene, SeesThatTheUsersFileChanged) {
  EXPECT_THAT(authenticate("carl", "new"), StartsWith("535 "));
  write(quickLine("carl", "new"));
  EXPECT_THAT(authenticate("carl", "new"), StartsWith("235 "));
  EXPECT_THAT(authenticate("ann", "secret"), StartsWith("535 ")) << "no more there";
}

TEST_F(AuthScene, KeepsItsUsersWhenTheFileBreaks) {
  EXPECT_THAT(authenticate("ann", "secret"), StartsWith("235 "));
  write("ann hunter2\n");
  EXPECT_THAT(authenticate("ann", "secret"), StartsWith("235 "));
  ASSERT_THAT(eventNames(), ElementsAre("users_failed"));
  const auto& reason = std::get<std::string>(log.events[0].fields.at(1).second);
  EXPECT_THAT(reason, HasSubstr("users:1:5: "));
  EXPECT_THAT(reason, Not(HasSubstr("hunter2")));
  EXPECT_EQ(auth.loadFailures().value(), 1u);
}

// A password that was right is known again by a quicker way; that must not outlive the file.
TEST_F(AuthScene, KnowsAPasswordAgainButNotAfterItChanged) {
  for (int i = 0; i < 3; ++i) EXPECT_THAT(authenticate("ann", "secret"), StartsWith("235 "));
  EXPECT_THAT(authenticate("ann", "Secret"), StartsWith("535 "));
  EXPECT_THAT(authenticate("bob", "secret"), StartsWith("535 "));
  write(quickLine("ann", "changed"));
  EXPECT_THAT(authenticate("ann", "secret"), StartsWith("535 "));
  EXPECT_THAT(authenticate("ann", "changed"), StartsWith("235 "));
}

TEST_F(AuthScene, SaysTryAgainWhenItNeverHadUsers) {
  write("ann\n");
  EXPECT_THAT(authenticate("ann", "secret"), StartsWith("454 4.7.0"));
  EXPECT_EQ(metrics.auth_not_now.value(), 1u);
}

TEST_F(AuthScene, WaitsBeforeItRefuses) {
  connector.auth_failure_delay = milliseconds{1};
  connect();
  stream.take();
  stream.receive("AUTH PLAIN ====\r\n");
  EXPECT_EQ(stream.take(), "");
  EXPECT_TRUE(turnUntil(*loop, [&] { return stream.written.starts_with("501 "); }));
}

// A message of carl's, who is held to authors, in one segment: the final reply.
class HeldUser : public AuthScene {
 public:
  HeldUser() {
    context.limits = &limits;
    write(quickLine("carl", "secret", " from=@here.test,me@own.test rate=3/h quota=4"));
  }
  std::string mail(const std::string& content, int recipients = 1) {
    EXPECT_THAT(say("MAIL FROM:<a@b.test>\r\n"), StartsWith("250 "));
    for (int i = 0; i < recipients; ++i) {
      last_rcpt = say("RCPT TO:<c" + std::to_string(i) + "@d.test>\r\n");
    }
    EXPECT_THAT(say("DATA\r\n"), StartsWith("354 "));
    return say(content + "\r\n.\r\n");
  }
  UserLimits limits{clock};
  std::string last_rcpt;
};

TEST_F(HeldUser, WritesAsItsAuthorsOnly) {
  ASSERT_THAT(authenticate("carl", "secret"), StartsWith("235 "));
  EXPECT_THAT(mail("From: Boss <boss@elsewhere.test>\r\nTo: x@y.test\r\n\r\nhi"),
              StartsWith("550 5.7.1"));
  EXPECT_EQ(log.messages.back().event, "refused");
  EXPECT_EQ(queue.incomings, 0);
  EXPECT_THAT(mail("Subject: no author at all\r\n\r\nFrom: x@here.test"), StartsWith("550 5.7.1"));
  EXPECT_TRUE(queue.commits.empty());
  EXPECT_THAT(mail("From: \"boss@elsewhere.test\" <x@HERE.test>, me@own.test\r\n\r\nhi"),
              StartsWith("250 2.0.0"));
}

TEST_F(HeldUser, KeepsToItsRate) {
  ASSERT_THAT(authenticate("carl", "secret"), StartsWith("235 "));
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(mail("From: x@here.test\r\n\r\nhi"), StartsWith("250 2.0.0"));
  }
  EXPECT_THAT(say("MAIL FROM:<a@b.test>\r\n"), StartsWith("450 4.7.1"));
  clock.advance(std::chrono::minutes(20));
  EXPECT_THAT(say("MAIL FROM:<a@b.test>\r\n"), StartsWith("250 "));
}

TEST_F(HeldUser, KeepsToItsQuotaOfRecipients) {
  ASSERT_THAT(authenticate("carl", "secret"), StartsWith("235 "));
  EXPECT_THAT(mail("From: x@elsewhere.test\r\n\r\nhi", 4), StartsWith("550 "));
  EXPECT_THAT(mail("From: x@here.test\r\n\r\nhi", 5), StartsWith("250 2.0.0"));
  EXPECT_THAT(last_rcpt, StartsWith("452 4.7.1"));
  EXPECT_EQ(queue.commits.at(0).envelope.recipients.size(), 4u);
  EXPECT_EQ(limits.usage().at(0).second.substr(6), "4");
}

}  // namespace
}  // namespace sluice::relay
