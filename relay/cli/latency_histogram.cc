#include "relay/cli/latency_histogram.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace sluice::relay {
namespace {
double ms(double ns) { return ns / 1e6; }
}  // namespace

size_t LatencyHistogram::indexOf(uint64_t ns) {
  if (ns < 32) return static_cast<size_t>(ns);
  const int top = 63 - std::countl_zero(ns);
  return static_cast<size_t>(top - 4) * 32 + static_cast<size_t>(ns >> (top - 5) & 31);
}

uint64_t LatencyHistogram::upperOf(size_t index) {
  if (index < 32) return index;
  const auto top = index / 32 + 4;
  return (uint64_t{1} << top) + ((uint64_t{index % 32} + 1) << (top - 5)) - 1;
}

void LatencyHistogram::add(uint64_t ns) {
  ++buckets_[indexOf(ns)];
  ++count_;
  max_ns_ = std::max(max_ns_, ns);
  sum_ns_ += static_cast<double>(ns);
}

uint64_t LatencyHistogram::percentileNs(double percent) const {
  if (count_ == 0) return 0;
  const double wanted = std::max(1.0, percent / 100.0 * static_cast<double>(count_));
  double seen = 0;
  for (size_t i = 0; i < kBuckets; ++i) {
    seen += static_cast<double>(buckets_[i]);
    if (seen >= wanted) return std::min(upperOf(i), max_ns_);
  }
  return max_ns_;
}

double LatencyHistogram::meanNs() const {
  return count_ == 0 ? 0 : sum_ns_ / static_cast<double>(count_);
}

nlohmann::json LatencyHistogram::toJson() const {
  const auto percentile = [&](double percent) {
    return ms(static_cast<double>(percentileNs(percent)));
  };
  return {{"count", count_},          {"mean_ms", ms(meanNs())},
          {"p50_ms", percentile(50)}, {"p90_ms", percentile(90)},
          {"p99_ms", percentile(99)}, {"max_ms", ms(static_cast<double>(max_ns_))}};
}

std::string LatencyHistogram::toLine() const {
  const auto percentile = [&](double percent) {
    return ms(static_cast<double>(percentileNs(percent)));
  };
  return fmt::format("p50 {:.2f} ms, p90 {:.2f} ms, p99 {:.2f} ms, max {:.2f} ms", percentile(50),
                     percentile(90), percentile(99), ms(static_cast<double>(max_ns_)));
}

}  // namespace sluice::relay
