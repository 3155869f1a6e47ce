// When is a deferred recipient tried again, and when is it given up? Pure.
//
// Delays grow by a factor up to a longest one, each moved by some jitter so that what failed
// together does not come back together. The last attempt falls on the end of the lifetime.
#pragma once

#include <chrono>
#include <cstdint>

#include "net/base/clock.h"

namespace sluice::queue {

struct RetryPolicy {
  std::chrono::milliseconds first{120'000};
  double factor = 2.0;
  std::chrono::milliseconds max{3'600'000};
  double jitter = 0.2;  // a fraction, plus or minus
  std::chrono::milliseconds lifetime{4 * 86'400'000LL};
};

// The delay behind the attempt that was number `attempts` (from 1), without jitter.
std::chrono::milliseconds retryDelay(const RetryPolicy& policy, uint32_t attempts);

// When to try again after attempt number `attempts`, failed at `now`, of a message accepted at
// `accepted`. `random` is from [0, 1). Never before `now`; never later than the lifetime's end,
// unless that is over.
WallTime nextDue(const RetryPolicy& policy, uint32_t attempts, WallTime accepted, WallTime now,
                 double random);

}  // namespace sluice::queue
