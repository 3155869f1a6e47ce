// A histogram of latencies that costs a few instructions a value: 32 buckets a power of two, so a
// percentile is within 3 % of the true one.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace sluice::relay {

class LatencyHistogram {
 public:
  void add(uint64_t ns);
  uint64_t count() const { return count_; }
  uint64_t percentileNs(double percent) const;  // an upper bound, never above the greatest value
  uint64_t maxNs() const { return max_ns_; }
  double meanNs() const;
  // {"count", "mean_ms", "p50_ms", "p90_ms", "p99_ms", "max_ms"}
  nlohmann::json toJson() const;
  std::string toLine() const;  // "p50 1.2 ms, p90 2.0 ms, p99 4.1 ms, max 9.0 ms"

 private:
  static constexpr size_t kBuckets = 61 * 32;
  static size_t indexOf(uint64_t ns);
  static uint64_t upperOf(size_t index);
  std::array<uint64_t, kBuckets> buckets_{};
  uint64_t count_ = 0;
  uint64_t max_ns_ = 0;
  double sum_ns_ = 0;
};

}  // namespace sluice::relay
