// Steady time for waiting, wall time for records, and a pair of clocks that a test can move.
#pragma once

#include <chrono>
#include <string>

namespace sluice {

using SteadyTime = std::chrono::steady_clock::time_point;
using WallTime = std::chrono::sys_time<std::chrono::microseconds>;
using Duration = std::chrono::nanoseconds;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual SteadyTime steady() const = 0;
  virtual WallTime wall() const = 0;
  // The machine's clocks; lives as long as the process.
  static const Clock& system();
};

// Stands still until moved.
class ManualClock final : public Clock {
 public:
  SteadyTime steady() const override { return steady_; }
  WallTime wall() const override { return wall_; }
  void advance(Duration by) {
    steady_ += std::chrono::duration_cast<SteadyTime::duration>(by);
    wall_ += std::chrono::duration_cast<std::chrono::microseconds>(by);
  }
  void setWall(WallTime wall) { wall_ = wall; }

 private:
  SteadyTime steady_{std::chrono::hours(1)};
  WallTime wall_{std::chrono::seconds(1'700'000'000)};
};

// "2026-11-24T08:21:32.123456Z": RFC 3339, UTC, microseconds.
std::string formatRfc3339(WallTime time);
// "Tue, 24 Nov 2026 08:21:32 +0000": RFC 5322 section 3.3.
std::string formatRfc5322(WallTime time);

}  // namespace sluice
