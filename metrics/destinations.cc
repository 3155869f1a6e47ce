#include "metrics/destinations.h"

#include <algorithm>
#include <utility>

#include "metrics/registry.h"

namespace sluice::metrics {
namespace {

constexpr const char* kOther = "other";

uint64_t queued(const DestinationSample& sample) {
  return sample.ready + sample.active + sample.deferred + sample.held;
}

// What a destination or "other" shows at one scrape.
struct Row {
  DestinationSample sum;
  std::array<uint64_t, kDeliveryResults.size()> results{};
};

void addTo(Row& row, const DestinationSample& sample) {
  row.sum.ready += sample.ready;
  row.sum.active += sample.active;
  row.sum.deferred += sample.deferred;
  row.sum.held += sample.held;
  row.sum.connections += sample.connections;
  row.sum.oldest_seconds = std::max(row.sum.oldest_seconds, sample.oldest_seconds);
}

struct Families {
  prometheus::MetricFamily recipients = familyOf(names::kDestinationRecipients);
  prometheus::MetricFamily oldest = familyOf(names::kDestinationOldest);
  prometheus::MetricFamily connections = familyOf(names::kDestinationConnections);
  prometheus::MetricFamily deliveries = familyOf(names::kDestinationDeliveries);

  void add(const std::string& name, const Row& row) {
    const auto state = [&](const char* label, uint64_t count) {
      recipients.metric.push_back(
          sampleOf(names::kDestinationRecipients, {name, label}, static_cast<double>(count)));
    };
    state("ready", row.sum.ready);
    state("active", row.sum.active);
    state("deferred", row.sum.deferred);
    state("held", row.sum.held);
    oldest.metric.push_back(sampleOf(names::kDestinationOldest, {name}, row.sum.oldest_seconds));
    connections.metric.push_back(
        sampleOf(names::kDestinationConnections, {name}, static_cast<double>(row.sum.connections)));
    for (size_t i = 0; i < kDeliveryResults.size(); ++i) {
      deliveries.metric.push_back(sampleOf(names::kDestinationDeliveries,
                                           {name, kDeliveryResults[i]},
                                           static_cast<double>(row.results[i])));
    }
  }
};

// One sample a name.
std::vector<DestinationSample> mergedByName(std::vector<DestinationSample> samples) {
  std::unordered_map<std::string, size_t> index;
  std::vector<Row> rows;
  index.reserve(samples.size());
  rows.reserve(samples.size());
  for (DestinationSample& sample : samples) {
    std::string name = cleanLabel(sample.destination);
    if (name == kOther) name = "\"other\"";  // not to be mixed up with the sum
    const auto [at, fresh] = index.emplace(name, rows.size());
    if (fresh) rows.emplace_back().sum.destination = std::move(name);
    Row& row = rows[at->second];
    addTo(row, sample);
    for (size_t i = 0; i < sample.results.size(); ++i) row.sum.results[i] += sample.results[i];
  }
  std::vector<DestinationSample> out;
  out.reserve(rows.size());
  for (Row& row : rows) out.push_back(std::move(row.sum));
  return out;
}

// The indexes of the `count` busiest, in no order. Of equals, who is named already stays.
struct Candidate {
  uint64_t score;
  bool named;
  size_t index;
};

void busiestFirst(std::vector<Candidate>& candidates, size_t count) {
  const auto busier = [](const Candidate& a, const Candidate& b) {
    if (a.score != b.score) return a.score > b.score;
    if (a.named != b.named) return a.named;
    return a.index < b.index;
  };
  std::nth_element(candidates.begin(), candidates.begin() + static_cast<ptrdiff_t>(count),
                   candidates.end(), busier);
}

}  // namespace

// Chooses who is named, and adds what is new since the last scrape to them or to "other".
void DestinationMetrics::account(const std::vector<DestinationSample>& samples) const {
  std::unordered_map<std::string, Seen> now;
  std::vector<Seen*> seen_at(samples.size());
  std::vector<Results> added(samples.size());
  std::vector<Candidate> candidates;
  now.reserve(samples.size());
  candidates.reserve(samples.size());
  for (size_t index = 0; index < samples.size(); ++index) {
    const DestinationSample& sample = samples[index];
    Seen& seen = now[sample.destination];  // pointers into the map stay good
    seen_at[index] = &seen;
    if (const auto before = seen_.find(sample.destination); before != seen_.end()) {
      seen = before->second;
    }
    uint64_t finished = 0;
    for (size_t r = 0; r < seen.last.size(); ++r) {
      const bool restarted = sample.results[r] < seen.last[r];
      added[index][r] = sample.results[r] - (restarted ? 0 : seen.last[r]);
      finished += added[index][r];
    }
    seen.last = sample.results;
    candidates.push_back({queued(sample) + finished, seen.named, index});
  }
  const size_t named = std::min(named_, candidates.size());
  busiestFirst(candidates, named);
  for (size_t i = 0; i < candidates.size(); ++i) {
    Seen& seen = *seen_at[candidates[i].index];
    const bool is_named = i < named;
    if (!is_named || !seen.named) seen.exported = {};
    seen.named = is_named;
    Results& target = is_named ? seen.exported : other_;
    for (size_t r = 0; r < target.size(); ++r) target[r] += added[candidates[i].index][r];
  }
  seen_ = std::move(now);
}

std::vector<prometheus::MetricFamily> DestinationMetrics::Collect() const {
  const std::vector<DestinationSample> samples = mergedByName(source_());
  const std::lock_guard lock(mutex_);
  account(samples);
  Families families;
  Row other;
  for (const DestinationSample& sample : samples) {
    const Seen& seen = seen_[sample.destination];
    if (!seen.named) {
      addTo(other, sample);
      continue;
    }
    Row row{sample, seen.exported};
    families.add(sample.destination, row);
  }
  other.results = other_;
  families.add(kOther, other);
  return {std::move(families.recipients), std::move(families.oldest),
          std::move(families.connections), std::move(families.deliveries)};
}

}  // namespace sluice::metrics
