#include "queue/age_counts.h"

#include <gmock/gmock.h>

#include <memory>

namespace sluice::queue {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using ::testing::ElementsAre;

const WallTime kNow{seconds(1'764'000'000)};

class AgeCountsTest : public ::testing::Test {
 protected:
  void accepted(seconds ago, int64_t count) { counts_->add(now_ - ago, count); }
  AgeCounts::Buckets buckets() const {
    AgeCounts::Buckets out{};
    counts_->addTo(out, now_);
    return out;
  }
  WallTime now_ = kNow;
  std::unique_ptr<AgeCounts> counts_ = std::make_unique<AgeCounts>();
};

TEST_F(AgeCountsTest, EachMessageIsInTheBucketOfItsAge) {
  accepted(seconds(5), 1);
  accepted(seconds(120), 2);
  accepted(seconds(600), 4);
  accepted(hours(2), 8);
  accepted(hours(20), 16);
  accepted(hours(50), 32);
  EXPECT_THAT(buckets(), ElementsAre(1, 2, 4, 8, 16, 32));
}

TEST_F(AgeCountsTest, WhatWaitsGrowsOlder) {
  accepted(seconds(0), 3);
  now_ += seconds(200);
  EXPECT_THAT(buckets(), ElementsAre(0, 3, 0, 0, 0, 0));
  now_ += hours(30);
  EXPECT_THAT(buckets(), ElementsAre(0, 0, 0, 0, 0, 3));
}

TEST_F(AgeCountsTest, WhatLeavesIsTakenFromWhereItIsByThen) {
  accepted(seconds(0), 3);
  accepted(seconds(0), -1);
  EXPECT_THAT(buckets(), ElementsAre(2, 0, 0, 0, 0, 0));
  now_ += hours(48);
  accepted(seconds(0), 1);  // the day moves on
  EXPECT_THAT(buckets(), ElementsAre(1, 0, 0, 0, 0, 2));
  accepted(hours(48), -2);
  EXPECT_THAT(buckets(), ElementsAre(1, 0, 0, 0, 0, 0));
}

TEST_F(AgeCountsTest, TheSumIsKeptOverManyDays) {
  for (int hour = 0; hour < 200; ++hour, now_ += hours(1)) accepted(seconds(0), 1);
  int64_t sum = 0;
  for (const int64_t count : buckets()) sum += count;
  EXPECT_EQ(sum, 200);
  EXPECT_EQ(buckets().back(), 177);  // all but those of the last 23 hours
}

}  // namespace
}  // namespace sluice::queue
