#include "relay/cli/table.h"

#include <gtest/gtest.h>

#include <sstream>

namespace sluice::relay {
namespace {

using namespace std::chrono_literals;

std::string printed(const Table& table, bool aligned) {
  std::ostringstream out;
  table.print(out, aligned);
  return out.str();
}

TEST(Table, AlignsOnATerminalAndSplitsByTabsOtherwise) {
  Table table({"NAME", "STATE", "REPLY"});
  table.add({"example.com", "", "250 ok"});
  table.add({"\xc3\xa9", "held", ""});
  EXPECT_EQ(printed(table, true),
            "NAME         STATE  REPLY\n"
            "example.com  -      250 ok\n"
            "\xc3\xa9            held   -\n");
  EXPECT_EQ(printed(table, false).substr(0, 17), "NAME\tSTATE\tREPLY\n");
}

TEST(Table, ValuesCannotPlayTricksOnATerminal) {
  Table table({"REPLY"});
  table.add({"a\x1b[2J\nb\tc\x9b"});
  EXPECT_EQ(printed(table, false), "REPLY\na\\u001b[2J\\nb\\tc\xef\xbf\xbd\n");
}

TEST(Table, DurationsAreShort) {
  EXPECT_EQ(shortDuration(0s), "0s");
  EXPECT_EQ(shortDuration(-5s), "0s");
  EXPECT_EQ(shortDuration(45s), "45s");
  EXPECT_EQ(shortDuration(192s), "3m12s");
  EXPECT_EQ(shortDuration(3600s), "1h");
  EXPECT_EQ(shortDuration(2 * 86400s + 4 * 3600s + 59s), "2d4h");
  EXPECT_EQ(shortDuration(86400s + 59s), "1d");
}

TEST(Table, TimesAreReadBack) {
  const WallTime time{std::chrono::microseconds(1'764'000'000'123'456)};
  EXPECT_EQ(parseTime(formatRfc3339(time)), time);
  for (const char* bad : {"", "now", "2026-13-24T08:21:32.123456Z", "2026-11-24T08:21:32Z",
                          "xxxx-11-24T08:21:32.123456Z"}) {
    EXPECT_FALSE(parseTime(bad)) << bad;
  }
}

}  // namespace
}  // namespace sluice::relay
