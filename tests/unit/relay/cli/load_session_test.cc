// The load generator's side of the dialogue, with scripted servers.
#include "relay/cli/load_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "relay/cli/load_identity.h"

namespace sluice::relay {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;
using State = LoadSession::State;

class LoadSessionTest : public testing::Test {
 protected:
  void start(const std::string& ehlo = "250-s\r\n250-PIPELINING\r\n250 CHUNKING\r\n") {
    message_.run = "r";
    maker_.emplace(LoadMaker::create(message_, WallTime{}).value());
    session_.emplace(options_, *maker_);
    EXPECT_EQ(hear("220 hello\r\n"), "EHLO load.test\r\n");
    EXPECT_EQ(hear(ehlo), "");
    ASSERT_EQ(session_->state(), State::Ready);
  }
  // Gives the session a reply, and gives what it sends.
  std::string hear(std::string_view reply) {
    session_->onBytes(reply, 5);
    return sent();
  }
  std::string sent() {
    const std::string bytes =
        std::string(session_->firstPiece()) + std::string(session_->secondPiece());
    session_->onSent(bytes.size(), 6);
    return bytes;
  }
  std::string begin(uint64_t seq) {
    session_->begin(seq, 4);
    return sent();
  }

  LoadSessionOptions options_;
  LoadMessageOptions message_;
  std::optional<LoadMaker> maker_;
  std::optional<LoadSession> session_;
};

TEST_F(LoadSessionTest, SendsAMessageInTwoWrites) {
  start();
  EXPECT_EQ(begin(3), "MAIL FROM:<load@load.test>\r\nRCPT TO:<u3.0@sink.test>\r\nDATA\r\n");
  EXPECT_EQ(session_->contentSentNs(), 0u);
  const std::string content = hear("250 ok\r\n250 ok\r\n354 go\r\n");
  EXPECT_THAT(content, StartsWith("X-Sluice-Load-Id: r.3\r\n"));
  EXPECT_THAT(content, EndsWith("\r\n.\r\n"));
  EXPECT_EQ(session_->contentSentNs(), 6u);
  hear("250 2.0.0 Queued as x\r\n");
  EXPECT_EQ(session_->state(), State::Ready);
  EXPECT_TRUE(session_->outcome().accepted());
  session_->quit();
  EXPECT_EQ(sent(), "QUIT\r\n");
  hear("221 bye\r\n");
  EXPECT_EQ(session_->state(), State::Over);
  EXPECT_TRUE(session_->leaving());
}

TEST_F(LoadSessionTest, WaitsForEachReplyWhereThereIsNoPipelining) {
  start("250 s\r\n");
  EXPECT_EQ(begin(1), "MAIL FROM:<load@load.test>\r\n");
  EXPECT_EQ(hear("250 ok\r\n"), "RCPT TO:<u1.0@sink.test>\r\n");
  EXPECT_EQ(hear("250 ok\r\n"), "DATA\r\n");
  EXPECT_THAT(hear("354-go\r\n354 on\r\n"), HasSubstr("Subject: "));
  hear("250 ok\r\n");
  EXPECT_TRUE(session_->outcome().accepted());
}

TEST_F(LoadSessionTest, SendsAllInOneWriteWithChunking) {
  options_.chunking = true;
  start();
  const std::string all = begin(2);
  const size_t bdat = all.find("BDAT ");
  ASSERT_NE(bdat, std::string::npos);
  const size_t content = all.find("\r\n", bdat) + 2;
  EXPECT_EQ(std::stoul(all.substr(bdat + 5)), all.size() - content);
  EXPECT_EQ(session_->contentSentNs(), 6u);
  hear("250 ok\r\n250 ok\r\n250 done\r\n");
  EXPECT_TRUE(session_->outcome().accepted());
}

TEST_F(LoadSessionTest, CarriesTheBodyUnchangedThroughDotStuffing) {
  start();
  begin(1);
  std::string wire = hear("250 ok\r\n250 ok\r\n354 go\r\n");
  EXPECT_THAT(wire, HasSubstr("\r\n.."));
  wire.resize(wire.size() - 3);
  std::string content = wire;
  for (size_t at = 0; (at = content.find("\r\n.", at)) != std::string::npos; at += 2) {
    content.erase(at + 2, 1);
  }
  const auto proof = parseProof(lineField(content, kLoadProofField)).value();
  const std::string body = content.substr(content.find("\r\n\r\n") + 4);
  EXPECT_EQ(body.size(), proof.body_bytes);
  EXPECT_EQ(quickHash(body), proof.body_hash);
  EXPECT_NEAR(static_cast<double>(content.size()), 4096, 64);
}

TEST_F(LoadSessionTest, KeepsWhichRecipientsWereRefused) {
  message_.recipients = 3;
  start();
  begin(1);
  hear("250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n354 go\r\n");
  hear("250 ok\r\n");
  EXPECT_TRUE(session_->outcome().accepted());
  EXPECT_THAT(session_->recipientCodes(), testing::ElementsAre(250, 550, 250));
}

TEST_F(LoadSessionTest, StartsAfreshAfterARefusal) {
  start();
  begin(1);
  hear("250 ok\r\n452 full\r\n554 no recipients\r\n");
  EXPECT_EQ(session_->state(), State::Ready);
  EXPECT_EQ(session_->outcome().code, 452);
  EXPECT_THAT(begin(2), StartsWith("RSET\r\nMAIL FROM:"));
  EXPECT_THAT(hear("250 reset\r\n250 ok\r\n250 ok\r\n354 go\r\n"), HasSubstr("r.2"));
}

// RFC 2920 section 3.1: DATA may be taken although no recipient was.
TEST_F(LoadSessionTest, SendsALoneDotWhereDataIsTakenWithoutRecipients) {
  start();
  begin(1);
  EXPECT_EQ(hear("250 ok\r\n550 no\r\n354 go\r\n"), ".\r\n");
  EXPECT_EQ(session_->contentSentNs(), 0u);
  hear("554 no recipients\r\n");
  EXPECT_EQ(session_->outcome().code, 550);
}

TEST_F(LoadSessionTest, IsOverAfter421AndAfterNonsense) {
  start();
  begin(1);
  hear("421 shutting down\r\n250 ok\r\n");
  EXPECT_EQ(hear("503 x\r\n"), "");
  EXPECT_EQ(session_->state(), State::Over);
  EXPECT_EQ(session_->outcome().code, 421);
  start();
  hear("hello\r\n");
  EXPECT_EQ(session_->state(), State::Over);
  start();
  for (int i = 0; i < 10; ++i) hear(std::string(10'000, '2'));
  EXPECT_EQ(session_->state(), State::Over);
}

TEST(LoadMaker, SpreadsRecipientsOverDomains) {
  LoadMessageOptions options;
  options.run = "r";
  options.recipients = 2;
  options.domains = 4;
  const LoadMaker together = LoadMaker::create(options, WallTime{}).value();
  EXPECT_EQ(together.recipient(5, 0), "u5.0@d1.sink.test");
  EXPECT_EQ(together.recipient(5, 1), "u5.1@d1.sink.test");
  options.spread = true;
  const LoadMaker spread = LoadMaker::create(options, WallTime{}).value();
  EXPECT_EQ(spread.recipient(5, 0), "u5.0@d2.sink.test");
  EXPECT_EQ(spread.recipient(5, 1), "u5.1@d3.sink.test");
}

TEST(LoadMaker, MakesLegalLinesOfAnySize) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{400}, size_t{477}, size_t{100'000}}) {
    LoadMessageOptions options;
    options.run = "r";
    options.size = size;
    const LoadMaker maker = LoadMaker::create(options, WallTime{}).value();
    ASSERT_THAT(maker.body(), EndsWith("\r\n")) << size;
    EXPECT_EQ(maker.body().find("\r\n.\r\n"), std::string::npos);
    for (size_t at = 0; at < maker.body().size();) {
      const size_t end = maker.body().find("\r\n", at);
      EXPECT_LE(end - at, 76u);
      at = end + 2;
    }
  }
}

TEST(LoadMaker, RefusesWhatWouldBreakACommand) {
  LoadMessageOptions options;
  options.run = "a b";
  EXPECT_FALSE(LoadMaker::create(options, WallTime{}));
  options.run = "r";
  options.sender = "x>\r\nDATA";
  EXPECT_FALSE(LoadMaker::create(options, WallTime{}));
}

}  // namespace
}  // namespace sluice::relay
