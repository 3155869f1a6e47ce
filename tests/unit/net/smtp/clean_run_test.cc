#include "net/smtp/clean_run.h"

#include <gtest/gtest.h>

#include <random>

namespace sluice::smtp {
namespace {

size_t slowly(const std::string& text, bool dotted, bool at_line_start) {
  for (size_t i = 0; i < text.size(); ++i) {
    const bool after_crlf = i == 0 ? at_line_start : text[i - 1] == '\n';
    if (text[i] == '\0' || text[i] == '\n') return i;
    if (text[i] == '\r') {
      if (i + 1 >= text.size() || text[i + 1] != '\n') return i;
      ++i;
      continue;
    }
    if (dotted && after_crlf && text[i] == '.') return i;
  }
  return text.size();
}

TEST(CleanRun, IsAsLongAsALookAtEachByteSays) {
  std::mt19937 random(20261124);
  for (int round = 0; round < 20'000; ++round) {
    std::string text(random() % 200, 'x');
    for (size_t i = 0; i + 1 < text.size(); ++i) {
      if (random() % 20 == 0) text.replace(i, 2, "\r\n");
      if (random() % 30 == 0) text[i] = '.';
      if (random() % 150 == 0) text[i] = "\r\n\0.\xc3"[random() % 5];
    }
    const bool dotted = random() % 2;
    const bool at_line_start = random() % 2;
    const size_t expected = slowly(text, dotted, at_line_start);
    const bool eight_bit = text.substr(0, expected).find('\xc3') != text.npos;
    for (const MeasureCleanRun measure : cleanRunWays()) {
      const CleanRun run = measure(text, dotted, at_line_start);
      ASSERT_EQ(run.bytes, expected) << testing::PrintToString(text);
      ASSERT_EQ(run.eight_bit, eight_bit);
    }
  }
}

TEST(CleanRun, LeavesALastCrForLater) {
  EXPECT_EQ(cleanRun("abc\r", true, false).bytes, 3u);
  EXPECT_EQ(cleanRun(std::string(63, 'a') + "\r", true, false).bytes, 63u);
  EXPECT_EQ(cleanRun(std::string(63, 'a') + "\r\n", true, false).bytes, 65u);
  EXPECT_EQ(cleanRun(std::string(63, 'a') + "\rb", true, false).bytes, 63u);
}

TEST(CleanRun, StopsAtADotAcrossBlocks) {
  const std::string text = std::string(62, 'a') + "\r\n.b";
  EXPECT_EQ(cleanRun(text, true, false).bytes, 64u);
  EXPECT_EQ(cleanRun(text, false, false).bytes, text.size());
}

}  // namespace
}  // namespace sluice::smtp
