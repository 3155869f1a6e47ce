#include "net/smtp/status_code.h"

#include <gtest/gtest.h>

namespace sluice::smtp {
namespace {

TEST(StatusCode, IsReadAndWrittenTheSame) {
  for (const std::string text : {"2.0.0", "4.7.1", "5.1.10", "5.999.999", "4.0.0"}) {
    const auto code = parseStatusCode(text);
    ASSERT_TRUE(code) << text;
    EXPECT_EQ(code->toString(), text);
  }
}

TEST(StatusCode, RefusesWhatIsNotOne) {
  for (const std::string text : {"", "4", "4.7", "4.7.", "3.7.1", "1.0.0", "4.7.1.", "4.7.1 x",
                                 "4.07.1", "4.7.1000", "4.-7.1", "44.7.1", ".7.1", "4..1"}) {
    EXPECT_FALSE(parseStatusCode(text)) << text;
  }
}

TEST(StatusCode, IsTakenOffTheFrontOfAReplysText) {
  std::string_view text = "5.7.1  not for you";
  const auto code = takeStatusCode(text);
  ASSERT_TRUE(code);
  EXPECT_EQ(*code, (EnhancedStatusCode{5, 7, 1}));
  EXPECT_TRUE(code->permanent());
  EXPECT_EQ(text, "not for you");
}

TEST(StatusCode, LeavesTextWithoutCodeAlone) {
  for (const std::string original :
       {"no code", "4.7.1-x", "192.0.2.1 is listed", "5.1.1.1 is a host"}) {
    std::string_view text = original;
    EXPECT_FALSE(takeStatusCode(text)) << original;
    EXPECT_EQ(text, original);
  }
}

TEST(StatusCode, IsTakenWhenNothingFollows) {
  std::string_view text = "2.0.0";
  EXPECT_TRUE(takeStatusCode(text));
  EXPECT_EQ(text, "");
}

}  // namespace
}  // namespace sluice::smtp
