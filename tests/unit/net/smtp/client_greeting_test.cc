// How the client authenticates before it sends mail.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/smtp/client_protocol.h"

namespace sluice::smtp {
namespace {

struct Greeting : testing::Test, ClientProtocol::Handler {
  Greeting() {
    protocol.onBytes("220 mx.example.net\r\n");
    out.clear();
    protocol.onBytes("250-mx.example.net\r\n250-PIPELINING\r\n250 AUTH PLAIN\r\n");
  }
  static ClientOptions options() {
    ClientOptions options;
    options.helo = "relay.example.com";
    options.authenticate = true;
    return options;
  }
  std::string say(std::string_view bytes) {
    out.clear();
    protocol.onBytes(bytes);
    return out;
  }
  std::string authenticate(std::string_view line) {
    out.clear();
    protocol.authenticate(line);
    return out;
  }

  void send(std::string_view bytes) override { out.append(bytes); }
  void send(Slice slice) override { out.append(slice.bytes); }
  size_t unsentBytes() const override { return 0; }
  void onOpen(const ServerOffer&) override { ++opened; }
  void onAuthTurn(const ServerOffer& offer) override { offered = offer.auth; }
  void onChallenge(std::string_view base64) override { challenges.emplace_back(base64); }
  bool authIsComplete() override { return complete; }
  void onRefused(Expect stage, const Reply& reply) override {
    refused = reply;
    refused_at = stage;
  }
  ClientTransaction* nextTransaction() override {
    ++asked;
    return nullptr;
  }
  void onDone(ClientTransaction&) override {}
  void onBroken(const Error& why, const std::optional<Reply>&) override { broken = why; }
  void onQuitDone() override {}
  void onContentCame() override {}

  std::string out;
  int opened = 0;
  int asked = 0;
  bool complete = true;
  std::vector<std::string> offered;
  std::vector<std::string> challenges;
  std::optional<Reply> refused;
  std::optional<Expect> refused_at;
  std::optional<Error> broken;
  ClientProtocol protocol{options(), *this};
};

TEST_F(Greeting, AuthenticatesBeforeAnyMail) {
  EXPECT_EQ(offered, std::vector<std::string>{"PLAIN"});
  EXPECT_FALSE(protocol.awaited()) << "the credentials may take a while";
  EXPECT_EQ(asked, 0);
  EXPECT_EQ(authenticate("PLAIN AGFubgBzZWNyZXQ="), "AUTH PLAIN AGFubgBzZWNyZXQ=\r\n");
  EXPECT_EQ(protocol.awaited(), Expect::Auth);
  say("235 2.7.0 welcome\r\n");
  EXPECT_EQ(opened, 1);
  EXPECT_EQ(asked, 1);
}

TEST_F(Greeting, AnswersChallengesAtOnceOrLater) {
  authenticate("LOGIN");
  say("334 VXNlcm5hbWU6\r\n");
  EXPECT_THAT(challenges, testing::ElementsAre("VXNlcm5hbWU6"));
  EXPECT_FALSE(protocol.awaited());
  out.clear();
  protocol.answerChallenge("YW5u");
  EXPECT_EQ(out, "YW5u\r\n");
  say("334\r\n");
  EXPECT_EQ(challenges.back(), "");
  protocol.answerChallenge("");
  say("235 welcome\r\n");
  EXPECT_EQ(opened, 1);
}

TEST_F(Greeting, SendsNoMailWhereItsCredentialsAreRefused) {
  authenticate("PLAIN AGFubgBzZWNyZXQ=");
  say("535 5.7.8 no\r\n");
  EXPECT_EQ(refused_at, Expect::Auth);
  EXPECT_EQ(refused->code, 535);
  EXPECT_EQ(opened, 0);
  EXPECT_EQ(asked, 0);
}

TEST_F(Greeting, LeavesAServerThatHasNotShownThatItKnowsThePassword) {
  complete = false;
  authenticate("SCRAM-SHA-256 biws");
  say("235 welcome\r\n");
  ASSERT_TRUE(broken);
  EXPECT_EQ(broken->code, Errc::AuthFailed);
  EXPECT_EQ(opened, 0);
}

TEST_F(Greeting, LeavesAServerThatAnswersAuthWithNonsense) {
  authenticate("PLAIN AGFubgBzZWNyZXQ=");
  say("250 ok\r\n");
  ASSERT_TRUE(broken);
  EXPECT_EQ(opened, 0);
}

}  // namespace
}  // namespace sluice::smtp
