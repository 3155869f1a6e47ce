#include "queue/age_counts.h"

#include <algorithm>

namespace sluice::queue {

int64_t AgeCounts::stepOf(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count() /
         kStepSeconds;
}

void AgeCounts::add(WallTime accepted, int64_t by) {
  const int64_t step = std::max<int64_t>(0, stepOf(accepted));
  const int64_t newest = newest_.value();
  // Steps that fall out of the day make room for new ones.
  for (int64_t fresh = std::max(newest + 1, step - kSteps + 1); fresh <= step; ++fresh) {
    metrics::Gauge& cell = steps_[static_cast<size_t>(fresh % kSteps)];
    older_.add(cell.value());
    cell.set(0);
  }
  if (step > newest) newest_.set(step);
  const bool too_old = step <= newest_.value() - kSteps;
  (too_old ? older_ : steps_[static_cast<size_t>(step % kSteps)]).add(by);
}

void AgeCounts::addTo(Buckets& buckets, WallTime now) const {
  const int64_t newest = newest_.value();
  const int64_t now_step = stepOf(now);
  for (int64_t step = std::max<int64_t>(0, newest - kSteps + 1); step <= newest; ++step) {
    const int64_t count = steps_[static_cast<size_t>(step % kSteps)].value();
    if (count == 0) continue;
    const int64_t age = (now_step - step) * kStepSeconds;
    const auto bound = std::upper_bound(kBounds.begin(), kBounds.end(), age);
    buckets[static_cast<size_t>(bound - kBounds.begin())] += count;
  }
  buckets.back() += older_.value();
}

}  // namespace sluice::queue
