#include "net/smtp/reply.h"

#include <gtest/gtest.h>

namespace sluice::smtp {
namespace {

Result<std::optional<Reply>> parse(std::string_view text) {
  ReplyParser parser;
  return parser.feed(text);
}

TEST(ReplyParser, ReadsALineWithItsCodes) {
  const auto reply = parse("450 4.2.1 mailbox busy\r\n");
  ASSERT_TRUE(reply && *reply);
  EXPECT_EQ((*reply)->code, 450);
  EXPECT_EQ((*reply)->status->toString(), "4.2.1");
  EXPECT_EQ((*reply)->text, "mailbox busy");
  EXPECT_EQ((*reply)->toString(), "450 4.2.1 mailbox busy");
}

TEST(ReplyParser, JoinsLinesHoweverTheyAreCut) {
  const std::string text = "550-5.1.1 no\r\n550-5.1.1 such\r\n550 5.1.1 user\r\n250 next\r\n";
  for (size_t cut = 0; cut < text.size() - 10; ++cut) {
    ReplyParser parser;
    std::string_view first = std::string_view(text).substr(0, cut);
    std::string_view rest = std::string_view(text).substr(cut);
    auto reply = parser.feed(first);
    ASSERT_TRUE(reply);
    if (!*reply) reply = parser.feed(rest);
    ASSERT_TRUE(reply && *reply);
    EXPECT_EQ((*reply)->text, "no\nsuch\nuser");
    EXPECT_EQ((*reply)->status->toString(), "5.1.1");
  }
}

TEST(ReplyParser, LeavesTheNextReplyInTheInput) {
  ReplyParser parser;
  std::string_view input = "250 a\r\n354 b\r\n";
  EXPECT_EQ((*parser.feed(input))->text, "a");
  EXPECT_EQ((*parser.feed(input))->code, 354);
  EXPECT_TRUE(input.empty());
}

TEST(ReplyParser, TakesABareCodeAndABareLineFeed) {
  EXPECT_EQ((*parse("250\r\n"))->code, 250);
  EXPECT_EQ((*parse("250 ok\n"))->text, "ok");
}

TEST(ReplyParser, RefusesWhatIsNoReply) {
  for (const char* text : {"hello\r\n", "25\r\n", "150 x\r\n", "650 x\r\n", "250x\r\n", "\r\n",
                           "250-a\r\n550 b\r\n", "HTTP/1.1 200 OK\r\n"}) {
    const auto reply = parse(text);
    ASSERT_FALSE(reply) << text;
    EXPECT_EQ(reply.error().code, Errc::Malformed) << text;
  }
}

TEST(ReplyParser, GivesUpOnEndlessLinesAndReplies) {
  ReplyParser parser;
  std::string many;
  for (int i = 0; i < 200; ++i) many += "250-more\r\n";
  std::string_view input = many;
  const auto endless = parser.feed(input);
  ASSERT_FALSE(endless);
  EXPECT_EQ(endless.error().code, Errc::TooLarge);
  const auto wide = parse("250 " + std::string(100'000, 'x'));
  ASSERT_FALSE(wide);
  EXPECT_EQ(wide.error().code, Errc::TooLarge);
}

TEST(ReplyParser, KeepsABoundedTextOfOrdinaryReplies) {
  const auto reply = parse("550 " + std::string(50'000, 'x') + "\r\n");
  ASSERT_TRUE(reply && *reply);
  EXPECT_EQ((*reply)->text.size(), ReplyParser::kMaxKeptTextBytes);
}

}  // namespace
}  // namespace sluice::smtp
