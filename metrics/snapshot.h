// The registry's numbers at one moment, for those who read them inside this process.
//
// Made on any thread, as a scrape is; afterwards a value.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "metrics/registry.h"

namespace sluice::metrics {

// Observations under upper bounds, not cumulative; the last count is of what is above all bounds.
struct Buckets {
  std::vector<double> bounds;
  std::vector<uint64_t> counts;
};

class Snapshot {
 public:
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;
  explicit Snapshot(const Registry& registry);

  // Of all series that have these label values: their sum; 0 without any.
  double sum(const Metric& metric, Labels labels = {}) const;
  // Likewise; without any series, no bounds and no counts.
  Buckets buckets(const Metric& metric, Labels labels = {}) const;

 private:
  template <class Visit>
  void forEach(const Metric& metric, Labels labels, Visit visit) const;

  std::vector<prometheus::MetricFamily> families_;
  std::unordered_map<std::string_view, size_t> by_name_;
};

}  // namespace sluice::metrics
