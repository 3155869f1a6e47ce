#include "relay/admin/destination_trends.h"

#include <gmock/gmock.h>

namespace sluice::relay {
namespace {

using std::chrono::seconds;

const WallTime kNow{seconds(1'764'000'000)};

QueueStatus queueOf(uint64_t deferred, uint64_t delivered = 0, uint64_t failed = 0) {
  QueueStatus queue;
  queue.destination.destination = "a.test";
  queue.destination.state = "delivering";
  queue.destination.results = {delivered, failed, 0, 0, 0};
  queue.deferred = deferred;
  queue.oldest = kNow - seconds(3600);
  return queue;
}

class DestinationTrendsTest : public ::testing::Test {
 protected:
  Trend lookAfter(seconds passed, const QueueStatus& queue) {
    now_ += passed;
    trends_.begin(now_);
    const Trend trend = trends_.note(queue);
    trends_.end();
    return trend;
  }
  SteadyTime now_{seconds(1000)};
  DestinationTrends trends_;
};

TEST_F(DestinationTrendsTest, AtFirstSightNothingIsKnown) {
  EXPECT_FALSE(lookAfter(seconds(0), queueOf(10)).velocity);
}

TEST_F(DestinationTrendsTest, VelocityIsOutMinusIn) {
  lookAfter(seconds(0), queueOf(100));
  EXPECT_DOUBLE_EQ(*lookAfter(seconds(10), queueOf(120)).velocity, -2);
  double velocity = 0;
  for (uint64_t left = 119; left > 19; --left) {
    velocity = *lookAfter(seconds(2), queueOf(left)).velocity;
  }
  EXPECT_NEAR(velocity, 0.5, 0.1);
}

TEST_F(DestinationTrendsTest, FailingIsTheShareOfLate) {
  lookAfter(seconds(0), queueOf(5, 1000, 0));
  EXPECT_DOUBLE_EQ(lookAfter(seconds(10), queueOf(5, 1030, 10)).failing, 0.25);
}

TEST_F(DestinationTrendsTest, CountersThatBeganAnewAreNoHugeNumbers) {
  lookAfter(seconds(0), queueOf(5, 1000, 1000));
  EXPECT_EQ(lookAfter(seconds(10), queueOf(5, 3, 0)).failing, 0);
}

TEST_F(DestinationTrendsTest, WhatNobodyLookedAtForLongBeginsAnew) {
  lookAfter(seconds(0), queueOf(5));
  EXPECT_FALSE(lookAfter(seconds(3600), queueOf(5000)).velocity);
}

TEST_F(DestinationTrendsTest, OnesThatAreGoneAreForgotten) {
  lookAfter(seconds(0), queueOf(5));
  now_ += seconds(1);
  trends_.begin(now_);
  trends_.end();
  EXPECT_FALSE(lookAfter(seconds(1), queueOf(50)).velocity);
}

TEST(HurtOf, NothingThatWaitsDoesNotHurt) {
  QueueStatus held = queueOf(0);
  held.held = 1000;
  EXPECT_EQ(hurtOf(held, {}, kNow), 0);
}

TEST(HurtOf, OldFailingGrowingAndManyHurtMore) {
  const QueueStatus calm = queueOf(100);
  const double before = hurtOf(calm, {.velocity = 1}, kNow);
  EXPECT_GT(hurtOf(calm, {.velocity = -1}, kNow), before);
  EXPECT_GT(hurtOf(calm, {.velocity = 1, .failing = 0.5}, kNow), before);
  EXPECT_GT(hurtOf(queueOf(10'000), {.velocity = 1}, kNow), before);
  EXPECT_GT(hurtOf(calm, {.velocity = 1}, kNow + seconds(86400)), before);
  QueueStatus resting = calm;
  resting.destination.state = "resting";
  EXPECT_GT(hurtOf(resting, {.velocity = 1}, kNow), before);
  resting.oldest = kNow - seconds(40 * 86400);
  resting.deferred = 100'000'000;
  EXPECT_LE(hurtOf(resting, {.velocity = -1e9, .failing = 1}, kNow), 100);
}

}  // namespace
}  // namespace sluice::relay
