#include "relay/admin/destination_trends.h"

#include <algorithm>
#include <cmath>

namespace sluice::relay {
namespace {

constexpr double kSmoothingSeconds = 60;
constexpr double kForgetSeconds = 300;  // nobody looked for so long: begin anew

double secondsBetween(SteadyTime from, SteadyTime to) {
  return std::chrono::duration<double>(to - from).count();
}

// Counters of a destination that was forgotten and made anew begin at zero again.
double grown(uint64_t before, uint64_t now) {
  return now >= before ? static_cast<double>(now - before) : 0;
}

}  // namespace

void DestinationTrends::begin(SteadyTime now) {
  now_ = now;
  ++look_;
}

Trend DestinationTrends::note(const QueueStatus& queue) {
  const auto& results = queue.destination.results;  // delivered deferred bounced expired discarded
  const uint64_t depth = queue.ready + queue.active + queue.deferred + queue.held;
  const uint64_t failed = results[1] + results[2] + results[3];
  Seen& seen = seen_[queue.destination.destination];
  const double passed = secondsBetween(seen.at, now_);
  const bool first = seen.look == 0 || passed > kForgetSeconds;
  if (first) seen = {};
  if (!first && passed > 0) {
    const double weight = seen.known ? 1 - std::exp(-passed / kSmoothingSeconds) : 1;
    const auto smooth = [&](double& kept, double fresh) { kept += weight * (fresh - kept); };
    const double change = static_cast<double>(depth) - static_cast<double>(seen.depth);
    smooth(seen.velocity, -change / passed);
    smooth(seen.delivering, grown(seen.delivered, results[0]) / passed);
    smooth(seen.failing, grown(seen.failed, failed) / passed);
    seen.known = true;
  }
  if (first || passed > 0) {
    seen.at = now_;
    seen.depth = depth;
    seen.delivered = results[0];
    seen.failed = failed;
  }
  seen.look = look_;
  const double attempts = seen.delivering + seen.failing;
  Trend trend;
  if (seen.known) trend.velocity = seen.velocity;
  // One failure a few minutes ago leaves a trace that means nothing.
  if (attempts > 0.001) trend.failing = seen.failing / attempts;
  return trend;
}

void DestinationTrends::end() {
  std::erase_if(seen_, [this](const auto& entry) { return entry.second.look != look_; });
}

double hurtOf(const QueueStatus& queue, const Trend& trend, WallTime now) {
  constexpr double kLongSeconds = 4 * 86400;  // a message's usual lifetime
  const auto waiting = static_cast<double>(queue.ready + queue.deferred);
  if (waiting == 0) return 0;
  double age = 0;
  if (queue.oldest) {
    const double seconds = std::chrono::duration<double>(now - *queue.oldest).count();
    age = std::log1p(std::max(0.0, seconds) / 60) / std::log1p(kLongSeconds / 60);
  }
  const double growth =
      trend.velocity && *trend.velocity < 0 ? -*trend.velocity * 60 / (waiting + 10) : 0;
  const std::string& state = queue.destination.state;
  const bool stands = state == "resting" || state == "suspended";
  const double failing = stands ? 1 : trend.failing;
  const double size = std::log10(1 + waiting) / 6;
  const double hurt = 35 * std::min(1.0, age) + 15 * std::min(1.0, growth) + 35 * failing +
                      15 * std::min(1.0, size);
  return std::round(hurt * 10) / 10;
}

}  // namespace sluice::relay
