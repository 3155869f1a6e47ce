// What /metrics shows: readers and cells, tied to the definitions of metrics/names.h and summed at
// each scrape.
//
// Series are registered before or while the relay runs, and scraped by any thread, several at once.
// Cells and what readers refer to must outlive the last scrape. A reader is called on the scraping
// thread without any lock held.
//
//   registry.addCounter(names::kMessagesAccepted, {"apps"}, [&] { return double(sum(shards)); });
//   registry.addHistogram(names::kCommitSeconds, {}, {&queue_metrics.commit_seconds});
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "metrics/cells.h"
#include "metrics/names.h"

namespace sluice::metrics {

// One value for each of the metric's labels, in their order.
using LabelValues = std::vector<std::string>;

// Receives the series of a metric whose label values are known at the scrape only.
using Emit = std::function<void(LabelValues labels, double value)>;

class Registry final : public prometheus::Collectable {
 public:
  using Reader = std::function<double()>;
  using Collector = std::function<void(const Emit& emit)>;

  // More series of one metric than this are summed under the label values "other".
  static constexpr size_t kMaxSeries = 1000;
  static constexpr size_t kMaxLabelBytes = 255;

  // Several of one metric with the same label values are summed (for gauges too).
  void addCounter(const Metric& metric, LabelValues labels, Reader reader);
  void addGauge(const Metric& metric, LabelValues labels, Reader reader);
  void addCounter(const Metric& metric, LabelValues labels, std::vector<const Counter*> cells);
  void addGauge(const Metric& metric, LabelValues labels, std::vector<const Gauge*> cells);
  // Cells of one metric share their bounds.
  void addHistogram(const Metric& metric, LabelValues labels, std::vector<const Histogram*> cells);
  // Series found at the scrape: refusals by status, certificates by name.
  void addCollector(const Metric& metric, Collector collector);
  // Several metrics that come out of one look at the relay, e.g. of its destinations.
  void addCollectable(const prometheus::Collectable& collectable);

  std::vector<prometheus::MetricFamily> Collect() const override;
  // Prometheus text format 0.0.4.
  std::string exposition() const;
  static constexpr const char* kContentType = "text/plain; version=0.0.4; charset=utf-8";

 private:
  struct HistogramSeries {
    LabelValues labels;
    std::vector<const Histogram*> cells;
  };
  struct Family {
    std::vector<std::shared_ptr<const Collector>> collectors;
    std::vector<HistogramSeries> histograms;
  };
  prometheus::MetricFamily collectFamily(const Metric& metric, const Family& family) const;

  mutable std::mutex mutex_;
  std::map<const Metric*, Family> families_;                  // guarded by mutex_
  std::vector<const prometheus::Collectable*> collectables_;  // guarded by mutex_
};

// An empty family of this metric, and one labelled sample for it; for Collectables.
prometheus::MetricFamily familyOf(const Metric& metric);
prometheus::ClientMetric sampleOf(const Metric& metric, const LabelValues& labels, double value);

// Valid UTF-8 of at most kMaxLabelBytes, whatever comes in.
std::string cleanLabel(std::string value);

}  // namespace sluice::metrics
