// The arithmetic of retries.
#include "queue/retry_schedule.h"

#include <algorithm>
#include <cmath>

namespace sluice::queue {
namespace {

using std::chrono::milliseconds;

// Nothing is tried more often than this, however the policy and its jitter are set.
constexpr milliseconds kShortest{1000};

}  // namespace

milliseconds retryDelay(const RetryPolicy& policy, uint32_t attempts) {
  const double factor = std::max(1.0, policy.factor);
  const double exponent = attempts > 0 ? static_cast<double>(attempts - 1) : 0;
  const double grown = static_cast<double>(policy.first.count()) * std::pow(factor, exponent);
  const auto longest = static_cast<double>(std::max(policy.first, policy.max).count());
  return milliseconds(static_cast<int64_t>(std::min(grown, longest)));  // also for infinity
}

WallTime nextDue(const RetryPolicy& policy, uint32_t attempts, WallTime accepted, WallTime now,
                 double random) {
  const double jitter = std::clamp(policy.jitter, 0.0, 1.0) * (2 * random - 1);
  const auto plain = static_cast<double>(retryDelay(policy, attempts).count());
  const milliseconds delay(static_cast<int64_t>(plain * (1 + jitter)));
  const WallTime due = now + std::max(delay, std::min(kShortest, policy.first));
  const WallTime end = accepted + policy.lifetime;
  return end > now ? std::min(due, end) : due;
}

}  // namespace sluice::queue
