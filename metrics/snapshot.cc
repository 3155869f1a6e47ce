#include "metrics/snapshot.h"

#include <algorithm>
#include <cmath>

namespace sluice::metrics {
namespace {

bool has(const prometheus::ClientMetric& sample, std::string_view name, std::string_view value) {
  return std::any_of(sample.label.begin(), sample.label.end(),
                     [&](const auto& label) { return label.name == name && label.value == value; });
}

}  // namespace

Snapshot::Snapshot(const Registry& registry) : families_(registry.Collect()) {
  for (size_t i = 0; i < families_.size(); ++i) by_name_.emplace(families_[i].name, i);
}

template <class Visit>
void Snapshot::forEach(const Metric& metric, Labels labels, Visit visit) const {
  const auto family = by_name_.find(metric.name);
  if (family == by_name_.end()) return;
  for (const prometheus::ClientMetric& sample : families_[family->second].metric) {
    const bool meant = std::all_of(labels.begin(), labels.end(), [&](const auto& label) {
      return has(sample, label.first, label.second);
    });
    if (meant) visit(sample);
  }
}

double Snapshot::sum(const Metric& metric, Labels labels) const {
  double sum = 0;
  forEach(metric, labels, [&](const prometheus::ClientMetric& sample) {
    sum += metric.type == Type::Counter ? sample.counter.value : sample.gauge.value;
  });
  return sum;
}

Buckets Snapshot::buckets(const Metric& metric, Labels labels) const {
  Buckets out;
  forEach(metric, labels, [&](const prometheus::ClientMetric& sample) {
    const auto& cumulative = sample.histogram.bucket;
    out.counts.resize(std::max(out.counts.size(), cumulative.size()));
    uint64_t below = 0;
    for (size_t i = 0; i < cumulative.size(); ++i) {
      if (std::isfinite(cumulative[i].upper_bound) && out.bounds.size() == i) {
        out.bounds.push_back(cumulative[i].upper_bound);
      }
      out.counts[i] += cumulative[i].cumulative_count - below;
      below = cumulative[i].cumulative_count;
    }
  });
  return out;
}

}  // namespace sluice::metrics
