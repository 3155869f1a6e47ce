// When a deferred recipient is tried again.
#include "queue/retry_schedule.h"

#include <gtest/gtest.h>

namespace sluice::queue {
namespace {

using namespace std::chrono_literals;
const WallTime kAccepted{std::chrono::seconds(1'700'000'000)};

TEST(RetrySchedule, DoublesUpToTheLongestDelay) {
  const RetryPolicy policy;
  EXPECT_EQ(retryDelay(policy, 1), 2min);
  EXPECT_EQ(retryDelay(policy, 2), 4min);
  EXPECT_EQ(retryDelay(policy, 5), 32min);
  EXPECT_EQ(retryDelay(policy, 6), 60min);
  EXPECT_EQ(retryDelay(policy, 4'000'000'000u), 60min);  // no overflow
}

TEST(RetrySchedule, MovesEachDelayByTheJitterAndNoMore) {
  const RetryPolicy policy;
  EXPECT_EQ(nextDue(policy, 1, kAccepted, kAccepted, 0.5), kAccepted + 2min);
  EXPECT_EQ(nextDue(policy, 1, kAccepted, kAccepted, 0.0), kAccepted + 96s);
  EXPECT_LE(nextDue(policy, 1, kAccepted, kAccepted, 0.999999), kAccepted + 144s);
  EXPECT_GT(nextDue(policy, 1, kAccepted, kAccepted, 0.999999), kAccepted + 143s);
}

TEST(RetrySchedule, PutsTheLastAttemptOnTheEndOfTheLifetime) {
  const RetryPolicy policy;
  const WallTime end = kAccepted + policy.lifetime;
  EXPECT_EQ(nextDue(policy, 50, kAccepted, end - 10min, 0.5), end);
  EXPECT_EQ(nextDue(policy, 1, kAccepted, end - 10min, 0.5), end - 8min);
}

TEST(RetrySchedule, NeverSpinsWhateverThePolicy) {
  RetryPolicy policy;
  policy.jitter = 1.0;
  policy.factor = 0.1;
  EXPECT_GE(nextDue(policy, 1, kAccepted, kAccepted, 0.0), kAccepted + 1s);
  policy.lifetime = 1ms;  // over long ago: still not at once
  EXPECT_GE(nextDue(policy, 1, kAccepted, kAccepted + 1h, 0.0), kAccepted + 1h + 1s);
}

}  // namespace
}  // namespace sluice::queue
