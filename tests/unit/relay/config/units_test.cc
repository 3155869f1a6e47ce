// Durations, sizes and rates mean what they say, and print what they are.
#include "relay/config/units.h"

#include <gtest/gtest.h>

#include "relay/config/suggest.h"

namespace sluice::relay {
namespace {

using namespace std::chrono_literals;

TEST(Units, DurationsReadInTheirUnits) {
  EXPECT_EQ(*parseDuration("500ms"), 500ms);
  EXPECT_EQ(*parseDuration("30s"), 30s);
  EXPECT_EQ(*parseDuration("5m"), 5min);
  EXPECT_EQ(*parseDuration("4h"), 4h);
  EXPECT_EQ(*parseDuration("2d"), 48h);
  EXPECT_EQ(*parseDuration("0"), 0ms);
  for (const char* wrong : {"", "5", "m", "5 m", " 5m", "5m ", "+5m", "-5m", "5M", "5mm", "0x5m",
                            "1e3s", "1.5s", "99999999999999999999s", "3651d", "5\xc3\xa4"}) {
    EXPECT_FALSE(parseDuration(wrong)) << wrong;
  }
}

TEST(Units, SizesReadInTheirUnits) {
  EXPECT_EQ(*parseSize("64KiB"), 65536u);
  EXPECT_EQ(*parseSize("50MiB"), 52428800u);
  EXPECT_EQ(*parseSize("1GiB"), 1073741824u);
  EXPECT_EQ(*parseSize("1TiB"), 1ull << 40);
  EXPECT_EQ(*parseSize("7B"), 7u);
  EXPECT_EQ(*parseSize("7"), 7u);
  for (const char* wrong :
       {"", "KiB", "1KB", "1kib", "1 KiB", "-1", "1.5MiB", "18446744073709551616", "9999999TiB"}) {
    EXPECT_FALSE(parseSize(wrong)) << wrong;
  }
}

TEST(Units, RatesReadInTheirUnits) {
  EXPECT_EQ(parseRate("100/s")->perSecond(), 100);
  EXPECT_EQ(parseRate("5000/m")->count, 5000u);
  EXPECT_EQ(parseRate("20000/h")->per, 3600s);
  EXPECT_EQ(parseRate("")->count, 0u);
  for (const char* wrong :
       {"0/s", "100", "/s", "100/d", "100/ss", "100s", "-1/s", "1.5/s", "9999999999/s"}) {
    EXPECT_FALSE(parseRate(wrong)) << wrong;
  }
}

TEST(Units, WhatIsPrintedReadsBackTheSame) {
  for (const int64_t ms :
       {0LL, 1LL, 999LL, 1000LL, 90'000LL, 3'600'000LL, 86'400'000LL, 86'400'001LL}) {
    EXPECT_EQ(parseDuration(formatDuration(milliseconds(ms)))->count(), ms);
  }
  for (const uint64_t bytes : {0ull, 1ull, 1023ull, 1024ull, 1ull << 30, (1ull << 30) + 1}) {
    EXPECT_EQ(*parseSize(formatSize(bytes)), bytes);
  }
  for (const char* rate : {"", "1/s", "60/m", "7/h"}) EXPECT_EQ(formatRate(*parseRate(rate)), rate);
}

TEST(Units, DurationsPrintInTheLargestUnitThatFits) {
  EXPECT_EQ(formatDuration(48h), "2d");
  EXPECT_EQ(formatDuration(90min), "90m");
  EXPECT_EQ(formatDuration(1500ms), "1500ms");
}

TEST(Suggestion, FindsASlipOfTheFingersAndNothingElse) {
  const std::array<std::string_view, 3> words{"hostname", "lifetime", "tls"};
  EXPECT_EQ(nearest("hostnmae", words), "hostname");
  EXPECT_EQ(nearest("tsl", words), "tls");
  EXPECT_EQ(nearest("life_time", words), "lifetime");
  EXPECT_EQ(nearest("colour", words), std::nullopt);
  EXPECT_EQ(nearest("", words), std::nullopt);
  EXPECT_EQ(nearest(std::string(100'000, 'a'), words), std::nullopt);
}

}  // namespace
}  // namespace sluice::relay
