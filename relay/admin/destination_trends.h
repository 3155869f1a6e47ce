// Does a destination's queue grow or shrink, does it fail, and how much does that hurt?
//
// A trend is what changed between looks at the relay, smoothed over about a minute. One thread at a
// time.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <unordered_map>

#include "net/base/clock.h"
#include "relay/admin/control.h"

namespace sluice::relay {

struct Trend {
  std::optional<double> velocity;  // recipients a second, out minus in; not known at first sight
  double failing = 0;              // share of the attempts of late that did not deliver, 0 to 1
};

class DestinationTrends {
 public:
  // A look at all destinations: begin, each of them once, end.
  void begin(SteadyTime now);
  Trend note(const QueueStatus& queue);
  void end();  // forgets those that were not seen

 private:
  struct Seen {
    SteadyTime at{};
    uint64_t look = 0;
    uint64_t depth = 0;
    uint64_t delivered = 0;
    uint64_t failed = 0;
    double velocity = 0;
    double delivering = 0;  // a second
    double failing = 0;     // a second
    bool known = false;
  };
  std::unordered_map<std::string, Seen> seen_;
  SteadyTime now_{};
  uint64_t look_ = 0;
};

// 0 (nothing waits, or all flows) to 100: by the age of the oldest mail, growth, failing attempts,
// and how much waits. What is held by hand hurts nobody.
double hurtOf(const QueueStatus& queue, const Trend& trend, WallTime now);

}  // namespace sluice::relay
