// The sink's side of the dialogue: what it takes, what it says by script, what it objects to.
#include "relay/cli/sink_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::relay {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

struct Kept {
  std::string sender, content, parameters;
  std::vector<std::string> recipients;
  bool chunked = false;
};

class Keeper final : public SinkKeeper {
 public:
  bool keep(const SinkMessage& message) override {
    if (full) return false;
    Kept kept{std::string(message.sender),
              std::string(message.content),
              std::string(message.mail_parameters),
              {},
              message.chunked};
    for (const SinkRecipient& recipient : message.recipients) {
      kept.recipients.push_back(recipient.path);
    }
    messages.push_back(std::move(kept));
    return true;
  }
  std::vector<Kept> messages;
  bool full = false;
};

class SinkSessionTest : public testing::Test {
 protected:
  void script(std::initializer_list<const char*> rules) {
    std::vector<SinkRule> parsed;
    for (const char* rule : rules) parsed.push_back(parseSinkRule(rule).value());
    script_ = std::make_unique<SinkScript>(std::move(parsed));
  }
  void start() {
    session_ = std::make_unique<SinkSession>(options_, *script_, tally_, keeper_, "192.0.2.9");
    session_->onConnect();
  }
  // Sends `bytes` and gives what comes back.
  std::string say(std::string_view bytes) {
    session_->onBytes(bytes);
    return std::exchange(session_->output(), {});
  }
  void greet() {
    start();
    say("EHLO client.test\r\n");
  }
  std::string resume() {
    session_->onResume();
    return std::exchange(session_->output(), {});
  }
  auto objections() { return tally_.toJson()["violation_examples"]; }

  SinkSessionOptions options_;
  std::unique_ptr<SinkScript> script_ = std::make_unique<SinkScript>(std::vector<SinkRule>{});
  SinkTally tally_;
  Keeper keeper_;
  std::unique_ptr<SinkSession> session_;
};

constexpr const char* kGroup = "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\n";

TEST_F(SinkSessionTest, TakesAMessage) {
  start();
  EXPECT_THAT(session_->output(), StartsWith("220 sink.test "));
  say("");
  EXPECT_THAT(say("EHLO c\r\n"), HasSubstr("250-CHUNKING\r\n"));
  EXPECT_EQ(say(kGroup), "250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go on\r\n");
  EXPECT_EQ(say("A: b\r\n\r\nbody\r\n.\r\n"), "250 2.0.0 taken\r\n");
  EXPECT_EQ(say("QUIT\r\n"), "221 2.0.0 bye\r\n");
  EXPECT_EQ(session_->end(), SinkSession::End::Close);
  ASSERT_EQ(keeper_.messages.size(), 1u);
  EXPECT_EQ(keeper_.messages[0].content, "A: b\r\n\r\nbody\r\n");
  EXPECT_EQ(keeper_.messages[0].sender, "a@x.test");
  EXPECT_THAT(keeper_.messages[0].recipients, ElementsAre("b@y.test"));
  EXPECT_TRUE(objections().empty()) << objections();
}

TEST_F(SinkSessionTest, FindsTheEndOfTheContentWhereverTheBytesAreCut) {
  const std::string content = "..stuffed\r\n\r\n...\r\nx.\r\n.\r\n";
  const std::string all = std::string(content) + "NOOP\r\n";
  for (size_t cut = 0; cut < all.size(); ++cut) {
    greet();
    say(kGroup);
    keeper_.messages.clear();
    const std::string first = say(all.substr(0, cut));
    EXPECT_EQ(first + say(all.substr(cut)), "250 2.0.0 taken\r\n250 2.0.0 ok\r\n") << cut;
    ASSERT_EQ(keeper_.messages.size(), 1u) << cut;
    EXPECT_EQ(keeper_.messages[0].content, ".stuffed\r\n\r\n..\r\nx.\r\n") << cut;
  }
}

TEST_F(SinkSessionTest, EndsTheContentAtCrLfDotCrLfAndNothingElse) {
  for (const char* not_end : {"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r"}) {
    greet();
    say(kGroup);
    EXPECT_EQ(say(std::string("x") + not_end + "MAIL FROM:<evil@x.test>\r\n"), "") << not_end;
    EXPECT_EQ(say("\r\n.\r\n"), "250 2.0.0 taken\r\n");
    EXPECT_THAT(objections().dump(), HasSubstr("bare CR or LF"));
  }
}

TEST_F(SinkSessionTest, TakesAnEmptyContent) {
  greet();
  say(kGroup);
  EXPECT_EQ(say("."), "");
  EXPECT_EQ(say("\r\n"), "250 2.0.0 taken\r\n");
  EXPECT_EQ(keeper_.messages.at(0).content, "");
}

TEST_F(SinkSessionTest, TakesChunks) {
  greet();
  say("MAIL FROM:<>\r\nRCPT TO:<b@y.test>\r\n");
  EXPECT_EQ(say("BDAT 4\r\n.\r\nX"), "250 2.0.0 chunk taken\r\n");
  EXPECT_EQ(say("BDAT 0 LAST\r\n"), "250 2.0.0 taken\r\n");
  EXPECT_EQ(keeper_.messages.at(0).content, ".\r\nX");
  EXPECT_TRUE(keeper_.messages[0].chunked);
  // The octets of a chunk that is refused are no commands.
  EXPECT_EQ(say("BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"),
            "503 5.5.1 no valid recipients\r\n250 2.0.0 ok\r\n");
}

TEST_F(SinkSessionTest, OffersOnlyWhatItIsTold) {
  options_.extensions = {.pipelining = false,
                         .eight_bit_mime = false,
                         .smtputf8 = false,
                         .dsn = false,
                         .size = false,
                         .chunking = false,
                         .enhanced_status_codes = false};
  start();
  say("");
  EXPECT_EQ(say("EHLO c\r\n"), "250 sink.test\r\n");
  EXPECT_THAT(say("MAIL FROM:<a@x.test> BODY=8BITMIME\r\n"), StartsWith("555"));
  EXPECT_THAT(say("MAIL FROM:<a@x.test> SIZE=1\r\n"), StartsWith("555"));
  EXPECT_THAT(say("MAIL FROM:<a@x.test>\r\n"), StartsWith("250"));
  EXPECT_THAT(say("RCPT TO:<b@y.test> NOTIFY=NEVER\r\n"), StartsWith("555"));
  EXPECT_THAT(say("BDAT 1 LAST\r\nx"), StartsWith("502"));
  EXPECT_EQ(tally_.violations(), 4u);
  say("RSET\r\nNOOP\r\n");
  EXPECT_THAT(objections().dump(), HasSubstr("PIPELINING was not offered"));
}

TEST_F(SinkSessionTest, KnowsOnlyHelo) {
  options_.helo_only = true;
  start();
  say("");
  EXPECT_THAT(say("EHLO c\r\n"), StartsWith("502"));
  EXPECT_EQ(say("HELO c\r\n"), "250 sink.test\r\n");
}

TEST_F(SinkSessionTest, ObjectsToWhatAClientMustNotDo) {
  greet();
  say("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\ntoo early\r\n.\r\n");
  EXPECT_THAT(objections().dump(), HasSubstr("bytes sent behind DATA"));
  greet();
  EXPECT_THAT(say("NOOP\n"), StartsWith("500"));
  EXPECT_THAT(say("NO\rOP\r\n"), StartsWith("500"));
  say(kGroup);
  say("\xc3\xbc\r\n.\r\n");
  EXPECT_THAT(objections().dump(), HasSubstr("8-bit content without"));
}

TEST_F(SinkSessionTest, TakesEightBitContentThatWasDeclared) {
  greet();
  say("MAIL FROM:<a@x.test> BODY=8BITMIME SIZE=10 SMTPUTF8 RET=HDRS ENVID=x\r\n"
      "RCPT TO:<b@y.test> NOTIFY=SUCCESS\r\nDATA\r\n");
  EXPECT_EQ(say("\xc3\xbc\r\n.\r\n"), "250 2.0.0 taken\r\n");
  EXPECT_TRUE(objections().empty()) << objections();
}

TEST_F(SinkSessionTest, RefusesByRuleAtEachStage) {
  script({"*@full.test,rcpt,452", "gone.test,rcpt,550", "evil@*,mail,550", "late.test,data,451",
          "big.test,eod,554"});
  greet();
  EXPECT_EQ(say("MAIL FROM:<evil@x.test>\r\n"), "550 5.7.1 sender refused\r\n");
  say("MAIL FROM:<a@x.test>\r\n");
  EXPECT_EQ(say("RCPT TO:<a@full.test>\r\n"), "452 4.5.3 too many recipients\r\n");
  EXPECT_EQ(say("RCPT TO:<a@GONE.test>\r\n"), "550 5.1.1 no such user\r\n");
  EXPECT_EQ(say("RCPT TO:<a@late.test>\r\n"), "250 2.1.5 ok\r\n");
  EXPECT_EQ(say("DATA\r\n"), "451 4.3.0 try again later\r\n");
  EXPECT_EQ(say("RSET\r\nMAIL FROM:<>\r\nRCPT TO:<a@big.test>\r\nDATA\r\n"),
            "250 2.0.0 ok\r\n250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go on\r\n");
  EXPECT_EQ(say("x\r\n.\r\n"), "554 5.6.0 content refused\r\n");
  EXPECT_THAT(keeper_.messages, IsEmpty());
}

TEST_F(SinkSessionTest, HoldsAReplyBackAndWhatIsBehindIt) {
  script({"slow.test,rcpt,250,100,400"});
  greet();
  EXPECT_EQ(say("MAIL FROM:<>\r\nRCPT TO:<a@slow.test>\r\nRCPT TO:<b@y.test>\r\n"),
            "250 2.1.0 ok\r\n");
  ASSERT_TRUE(session_->waiting());
  EXPECT_EQ(session_->waiting()->count(), 400);
  EXPECT_EQ(say("DATA\r\n"), "");
  EXPECT_EQ(resume(), "250 2.1.5 ok\r\n250 2.1.5 ok\r\n354 go on\r\n");
  EXPECT_FALSE(session_->waiting());
}

TEST_F(SinkSessionTest, DelaysTheReplyToEachContent) {
  options_.eod_delay = std::chrono::milliseconds(70);
  greet();
  say(kGroup);
  EXPECT_EQ(say("x\r\n.\r\n"), "");
  EXPECT_EQ(resume(), "250 2.0.0 taken\r\n");
}

TEST_F(SinkSessionTest, HangsClosesAndResets) {
  script(
      {"*,eod,hang", "rude.test,rcpt,close", "worse.test,rcpt,reset", "dead.test,content,close"});
  greet();
  say(kGroup);
  EXPECT_EQ(say("x\r\n.\r\n"), "");
  EXPECT_TRUE(session_->hung());
  EXPECT_EQ(say("NOOP\r\n"), "");
  greet();
  EXPECT_EQ(say("MAIL FROM:<>\r\nRCPT TO:<a@rude.test>\r\n"), "250 2.1.0 ok\r\n");
  EXPECT_EQ(session_->end(), SinkSession::End::Close);
  greet();
  say("MAIL FROM:<>\r\nRCPT TO:<a@worse.test>\r\n");
  EXPECT_EQ(session_->end(), SinkSession::End::Reset);
  greet();
  say("MAIL FROM:<>\r\nRCPT TO:<a@dead.test>\r\nDATA\r\n");
  EXPECT_EQ(session_->end(), SinkSession::End::Open);
  say("half a line");
  EXPECT_EQ(session_->end(), SinkSession::End::Close);
  EXPECT_THAT(keeper_.messages, IsEmpty());
}

TEST_F(SinkSessionTest, SaysWhatTheScriptSaysWordForWord) {
  script({"*,ehlo,250,100,0,sink.test\nSIZE 10\nCHUNKING", "*,mail,354", "*,connect,554,100,0,"});
  start();
  EXPECT_EQ(say(""), "554 no mail from you\r\n");
  script({"*,ehlo,250,100,0,sink.test\nSIZE 10\nCHUNKING", "*,mail,354"});
  start();
  say("");
  EXPECT_EQ(say("EHLO c\r\n"), "250-sink.test\r\n250-SIZE 10\r\n250 CHUNKING\r\n");
  EXPECT_THAT(say("MAIL FROM:<>\r\n"), StartsWith("354 "));
}

TEST_F(SinkSessionTest, ClosesAfter421) {
  script({"*,mail,421"});
  greet();
  EXPECT_THAT(say("MAIL FROM:<>\r\n"), StartsWith("421 4.3.2"));
  EXPECT_EQ(session_->end(), SinkSession::End::Close);
}

TEST_F(SinkSessionTest, KeepsItsLimits) {
  options_.max_recipients = 1;
  options_.max_message_bytes = 10;
  options_.messages_per_connection = 1;
  greet();
  EXPECT_THAT(say("MAIL FROM:<> SIZE=11\r\n"), StartsWith("552"));
  say("MAIL FROM:<>\r\nRCPT TO:<a@y.test>\r\n");
  EXPECT_THAT(say("RCPT TO:<b@y.test>\r\n"), StartsWith("452 4.5.3"));
  say("DATA\r\n");
  EXPECT_EQ(say("0123456789\r\n0123"), "");
  EXPECT_LT(session_->buffered(), 16u);
  EXPECT_THAT(say("456789\r\n.\r\n"), StartsWith("552"));
  say(kGroup);
  EXPECT_EQ(say("x\r\n.\r\n"), "250 2.0.0 taken\r\n421 4.3.2 enough for one connection\r\n");
  EXPECT_EQ(session_->end(), SinkSession::End::Close);
}

TEST_F(SinkSessionTest, RefusesForTheMomentWhatItCannotKeep) {
  keeper_.full = true;
  greet();
  say(kGroup);
  EXPECT_THAT(say("x\r\n.\r\n"), StartsWith("452 4.3.1"));
}

TEST_F(SinkSessionTest, GivesUpOnALineWithoutEnd) {
  greet();
  for (int i = 0; i < 10; ++i) say(std::string(10'000, 'x'));
  EXPECT_EQ(session_->end(), SinkSession::End::Close);
}

TEST_F(SinkSessionTest, ReadsQuotedPaths) {
  greet();
  say("MAIL FROM:<\"a>b\\\"\"@x.test>\r\nRCPT TO:<\"c d\"@y.test>\r\nDATA\r\n");
  say("x\r\n.\r\n");
  EXPECT_EQ(keeper_.messages.at(0).sender, "\"a>b\\\"\"@x.test");
  EXPECT_THAT(say("RSET\r\n"), StartsWith("250"));
  EXPECT_THAT(say("MAIL FROM:a@x.test\r\n"), StartsWith("501"));
}

}  // namespace
}  // namespace sluice::relay
