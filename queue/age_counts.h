// How old is what is queued? Messages counted by the time of their acceptance, in steps of a
// quarter minute over the last day; what is older is one number.
//
// One thread adds, any thread reads. Adding costs a plain add, whatever is queued.
#pragma once

#include <array>
#include <cstdint>

#include "metrics/cells.h"
#include "net/base/clock.h"

namespace sluice::queue {

class AgeCounts {
 public:
  // Upper bounds of the buckets, in seconds; the last bucket, without one, is of what is older.
  static constexpr std::array<int64_t, 5> kBounds{60, 300, 1800, 4 * 3600, 86400};
  using Buckets = std::array<int64_t, kBounds.size() + 1>;

  // `by` messages accepted then came to the queue, or left it.
  void add(WallTime accepted, int64_t by);
  // Adds the messages of each age at `now`. An age is exact to a step.
  void addTo(Buckets& buckets, WallTime now) const;

 private:
  static constexpr int64_t kStepSeconds = 15;
  static constexpr int64_t kSteps = kBounds.back() / kStepSeconds;
  static int64_t stepOf(WallTime time);

  std::array<metrics::Gauge, kSteps> steps_;  // step n is at n modulo kSteps
  metrics::Gauge newest_;                     // the latest step that was added to
  metrics::Gauge older_;                      // of steps before newest_ - kSteps
};

}  // namespace sluice::queue
