// The time by which groups are due: wall time that a moved wall clock neither storms nor stalls.
//
// It runs with the steady clock. Where the wall clock has moved away from it, it follows slowly:
// forward at most kForwardRate times as fast (a machine that slept, or whose clock was set right
// after the start, catches up within minutes, its retries spread), backward by running a tenth
// slower, so that it never runs back. One a shard, on its thread.
#pragma once

#include <algorithm>
#include <cstdint>

#include "net/base/clock.h"
#include "queue/record.h"

namespace sluice::queue {

class QueueClock {
 public:
  static constexpr int64_t kForwardRate = 60;
  static constexpr int64_t kBackwardPart = 10;
  static constexpr int64_t kFollowAtOnceUs = 2'000'000;  // as time synchronisation does it

  explicit QueueClock(const Clock& clock) : clock_(clock) {
    steady_us_ = steadyMicroseconds();
    now_us_ = static_cast<int64_t>(toMicroseconds(clock_.wall()));
  }

  uint64_t now() {
    const int64_t steady = steadyMicroseconds();
    const int64_t passed = std::max<int64_t>(0, steady - steady_us_);
    steady_us_ = steady;
    const int64_t ahead =  // of the wall clock over ours
        static_cast<int64_t>(toMicroseconds(clock_.wall())) - (now_us_ + passed);
    int64_t step = passed;
    if (ahead > 0)
      step += ahead <= kFollowAtOnceUs ? ahead : std::min(ahead, passed * kForwardRate);
    else
      step -= std::min(-ahead, passed / kBackwardPart);
    now_us_ += step;
    return static_cast<uint64_t>(now_us_);
  }

  // A time that others took from the wall clock, as one of ours, and back.
  uint64_t fromWall(WallTime wall) {
    const int64_t shift =
        wall.time_since_epoch().count() - static_cast<int64_t>(toMicroseconds(clock_.wall()));
    return static_cast<uint64_t>(std::max<int64_t>(0, static_cast<int64_t>(now()) + shift));
  }
  WallTime toWall(uint64_t us) {
    if (us == kNeverDue) return fromMicroseconds(us);
    const int64_t shift = static_cast<int64_t>(us) - static_cast<int64_t>(now());
    return clock_.wall() + std::chrono::microseconds(shift);
  }

 private:
  int64_t steadyMicroseconds() const {
    return std::chrono::duration_cast<std::chrono::microseconds>(clock_.steady().time_since_epoch())
        .count();
  }
  const Clock& clock_;
  int64_t steady_us_ = 0;
  int64_t now_us_ = 0;
};

}  // namespace sluice::queue
