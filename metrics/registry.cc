#include "metrics/registry.h"

#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cassert>
#include <limits>
#include <sstream>

namespace sluice::metrics {
namespace {

prometheus::MetricType typeOf(Type type) {
  switch (type) {
    case Type::Counter:
      return prometheus::MetricType::Counter;
    case Type::Gauge:
      return prometheus::MetricType::Gauge;
    case Type::Histogram:
      return prometheus::MetricType::Histogram;
  }
  return prometheus::MetricType::Untyped;
}

// Bytes of the well-formed UTF-8 sequence at the front of `text`, 0 if it is not one.
size_t utf8Length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const unsigned char second = byte(1);  // overlong forms, surrogates, beyond U+10FFFF
  if (lead == 0xe0 && second < 0xa0) return 0;
  if (lead == 0xed && second > 0x9f) return 0;
  if (lead == 0xf0 && second < 0x90) return 0;
  if (lead == 0xf4 && second > 0x8f) return 0;
  return length;
}

prometheus::ClientMetric labelled(const Metric& metric, const LabelValues& labels) {
  assert(labels.size() == metric.labelCount());
  prometheus::ClientMetric sample;
  for (size_t i = 0; i < labels.size() && i < metric.labelCount(); ++i) {
    sample.label.push_back({metric.labels[i], cleanLabel(labels[i])});
  }
  return sample;
}

// Sums the cells' buckets into one cumulative histogram.
prometheus::ClientMetric::Histogram sumOf(const std::vector<const Histogram*>& cells) {
  prometheus::ClientMetric::Histogram sum;
  if (cells.empty()) return sum;
  const auto bounds = cells.front()->bounds();
  uint64_t cumulative = 0;
  for (size_t bucket = 0; bucket <= bounds.size(); ++bucket) {
    for (const Histogram* cell : cells) cumulative += cell->count(bucket);
    const double bound =
        bucket < bounds.size() ? bounds[bucket] : std::numeric_limits<double>::infinity();
    sum.bucket.push_back({cumulative, bound});
  }
  sum.sample_count = cumulative;
  for (const Histogram* cell : cells) sum.sample_sum += cell->sum();
  return sum;
}

}  // namespace

std::string cleanLabel(std::string value) {
  const auto plain = [](char c) { return c >= 0x20 && c < 0x7f; };
  if (value.size() <= Registry::kMaxLabelBytes && std::all_of(value.begin(), value.end(), plain)) {
    return value;
  }
  std::string clean;
  for (std::string_view left = value; !left.empty();) {
    const size_t length = utf8Length(left);
    std::string_view piece = length == 0 ? "\xef\xbf\xbd" : left.substr(0, length);
    // A control character may be legal in the format, but is no use in a label.
    if (length == 1 && !plain(left[0])) piece = "?";
    if (clean.size() + piece.size() > Registry::kMaxLabelBytes) break;
    clean += piece;
    left.remove_prefix(length == 0 ? 1 : length);
  }
  return clean;
}

prometheus::MetricFamily familyOf(const Metric& metric) {
  return {metric.name, metric.help, typeOf(metric.type), {}};
}

prometheus::ClientMetric sampleOf(const Metric& metric, const LabelValues& labels, double value) {
  prometheus::ClientMetric sample = labelled(metric, labels);
  if (metric.type == Type::Counter) {
    sample.counter.value = value;
  } else {
    sample.gauge.value = value;
  }
  return sample;
}

void Registry::addCounter(const Metric& metric, LabelValues labels, Reader reader) {
  assert(metric.type != Type::Histogram && labels.size() == metric.labelCount());
  addCollector(metric, [labels = std::move(labels), reader = std::move(reader)](const Emit& emit) {
    emit(labels, reader());
  });
}

void Registry::addGauge(const Metric& metric, LabelValues labels, Reader reader) {
  addCounter(metric, std::move(labels), std::move(reader));
}

void Registry::addCounter(const Metric& metric, LabelValues labels,
                          std::vector<const Counter*> cells) {
  addCounter(metric, std::move(labels), [cells = std::move(cells)] {
    uint64_t sum = 0;
    for (const Counter* cell : cells) sum += cell->value();
    return static_cast<double>(sum);
  });
}

void Registry::addGauge(const Metric& metric, LabelValues labels, std::vector<const Gauge*> cells) {
  addGauge(metric, std::move(labels), [cells = std::move(cells)] {
    int64_t sum = 0;
    for (const Gauge* cell : cells) sum += cell->value();
    return static_cast<double>(sum);
  });
}

void Registry::addHistogram(const Metric& metric, LabelValues labels,
                            std::vector<const Histogram*> cells) {
  assert(metric.type == Type::Histogram && labels.size() == metric.labelCount());
  const std::lock_guard lock(mutex_);
  auto& known = families_[&metric].histograms;
  for (HistogramSeries& series : known) {
    if (series.labels != labels) continue;
    series.cells.insert(series.cells.end(), cells.begin(), cells.end());
    return;
  }
  known.push_back({std::move(labels), std::move(cells)});
}

void Registry::addCollector(const Metric& metric, Collector collector) {
  const std::lock_guard lock(mutex_);
  families_[&metric].collectors.push_back(std::make_shared<const Collector>(std::move(collector)));
}

void Registry::addCollectable(const prometheus::Collectable& collectable) {
  const std::lock_guard lock(mutex_);
  collectables_.push_back(&collectable);
}

prometheus::MetricFamily Registry::collectFamily(const Metric& metric, const Family& family) const {
  prometheus::MetricFamily out = familyOf(metric);
  std::map<LabelValues, double> sums;
  const Emit emit = [&](LabelValues labels, double value) {
    for (std::string& label : labels) label = cleanLabel(std::move(label));
    if (sums.size() >= kMaxSeries && !sums.contains(labels)) {
      labels.assign(labels.size(), "other");
    }
    sums[std::move(labels)] += value;
  };
  for (const auto& collector : family.collectors) (*collector)(emit);
  for (const auto& [labels, value] : sums) out.metric.push_back(sampleOf(metric, labels, value));
  for (const HistogramSeries& series : family.histograms) {
    prometheus::ClientMetric sample = labelled(metric, series.labels);
    sample.histogram = sumOf(series.cells);
    out.metric.push_back(std::move(sample));
  }
  return out;
}

std::vector<prometheus::MetricFamily> Registry::Collect() const {
  std::unique_lock lock(mutex_);
  const auto families = families_;
  const auto collectables = collectables_;
  lock.unlock();  // a reader may wait for what waits for us
  std::vector<prometheus::MetricFamily> out;
  for (const Metric* metric : kAllMetrics) {
    const auto family = families.find(metric);
    if (family == families.end()) continue;
    auto collected = collectFamily(*metric, family->second);
    if (!collected.metric.empty()) out.push_back(std::move(collected));
  }
  for (const prometheus::Collectable* collectable : collectables) {
    for (auto& family : collectable->Collect()) {
      if (!family.metric.empty()) out.push_back(std::move(family));
    }
  }
  return out;
}

std::string Registry::exposition() const {
  std::ostringstream out;
  out.imbue(std::locale::classic());
  prometheus::TextSerializer().Serialize(out, Collect());
  return std::move(out).str();
}

}  // namespace sluice::metrics
