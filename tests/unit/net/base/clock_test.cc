#include "net/base/clock.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

WallTime at(int year, unsigned month, unsigned day, std::chrono::seconds time) {
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  return WallTime(std::chrono::sys_days(date)) + time;
}

TEST(Clock, WritesDatesAsHeadersWantThem) {
  EXPECT_EQ(formatRfc5322(at(2026, 11, 24, std::chrono::seconds(8 * 3600 + 5 * 60 + 9))),
            "Tue, 24 Nov 2026 08:05:09 +0000");
  EXPECT_EQ(formatRfc5322(at(2024, 2, 29, std::chrono::seconds(86399))),
            "Thu, 29 Feb 2024 23:59:59 +0000");
  EXPECT_EQ(formatRfc5322(at(1970, 1, 1, {})), "Thu, 1 Jan 1970 00:00:00 +0000");
  EXPECT_EQ(formatRfc5322(WallTime{} - std::chrono::microseconds(1)),
            "Wed, 31 Dec 1969 23:59:59 +0000");
}

TEST(Clock, WritesTimesAsTheLogWantsThem) {
  EXPECT_EQ(formatRfc3339(at(2026, 1, 2, std::chrono::seconds(3)) + std::chrono::microseconds(45)),
            "2026-01-02T00:00:03.000045Z");
}

}  // namespace
}  // namespace sluice
