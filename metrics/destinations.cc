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

// All but the results.
void addTo(DestinationSample& sum, const DestinationSample& sample) {
  sum.ready += sample.ready;
  sum.active += sample.active;
  sum.deferred += sample.deferred;
  sum.held += sample.held;
  sum.connections += sample.connections;
  sum.oldest_seconds = std::max(sum.oldest_seconds, sample.oldest_seconds);
}

struct Families {
  prometheus::MetricFamily recipients = familyOf(names::kDestinationRecipients);
  prometheus::MetricFamily oldest = familyOf(names::kDestinationOldest);
  prometheus::MetricFamily connections = familyOf(names::kDestinationConnections);
  prometheus::MetricFamily deliveries = familyOf(names::kDestinationDeliveries);

  void add(const std::string& name, const DestinationSample& row,
           const std::array<uint64_t, kDeliveryResults.size()>& results) {
    const auto state = [&](const char* label, uint64_t count) {
      recipients.metric.push_back(
          sampleOf(names::kDestinationRecipients, {name, label}, static_cast<double>(count)));
    };
    state("ready", row.ready);
    state("active", row.active);
    state("deferred", row.deferred);
    state("held", row.held);
    oldest.metric.push_back(sampleOf(names::kDestinationOldest, {name}, row.oldest_seconds));
    connections.metric.push_back(
        sampleOf(names::kDestinationConnections, {name}, static_cast<double>(row.connections)));
    for (size_t i = 0; i < kDeliveryResults.size(); ++i) {
      deliveries.metric.push_back(sampleOf(names::kDestinationDeliveries,
                                           {name, kDeliveryResults[i]},
                                           static_cast<double>(results[i])));
    }
  }
};

prometheus::MetricFamily queueRecipients(const std::vector<DestinationSample>& samples) {
  DestinationSample sum;
  for (const DestinationSample& sample : samples) addTo(sum, sample);
  prometheus::MetricFamily family = familyOf(names::kQueueRecipients);
  const auto state = [&](const char* label, uint64_t count) {
    family.metric.push_back(sampleOf(names::kQueueRecipients, {label}, static_cast<double>(count)));
  };
  state("ready", sum.ready);
  state("active", sum.active);
  state("deferred", sum.deferred);
  state("held", sum.held);
  return family;
}

// One sample a name, each name fit for a label.
void mergeByName(std::vector<DestinationSample>& samples) {
  std::unordered_map<std::string_view, size_t> index;
  index.reserve(samples.size());
  size_t kept = 0;
  for (DestinationSample& sample : samples) {
    sample.destination = cleanLabel(std::move(sample.destination));
    if (sample.destination == kOther) sample.destination = "\"other\"";  // not the sum
  }
  for (size_t i = 0; i < samples.size(); ++i) {
    const auto found = index.find(samples[i].destination);
    if (found != index.end()) {
      DestinationSample& sum = samples[found->second];
      addTo(sum, samples[i]);
      for (size_t r = 0; r < sum.results.size(); ++r) sum.results[r] += samples[i].results[r];
      continue;
    }
    if (kept != i) samples[kept] = std::move(samples[i]);
    index.emplace(samples[kept].destination, kept);
    ++kept;
  }
  samples.resize(kept);
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
std::vector<DestinationMetrics::Seen*> DestinationMetrics::account(
    const std::vector<DestinationSample>& samples) const {
  std::vector<Seen*> seen_at(samples.size());
  std::vector<Results> added(samples.size());
  std::vector<Candidate> candidates;
  candidates.reserve(samples.size());
  ++scrape_;
  for (size_t index = 0; index < samples.size(); ++index) {
    const DestinationSample& sample = samples[index];
    Seen& seen = seen_[sample.destination];  // pointers into the map stay good
    seen_at[index] = &seen;
    seen.scrape = scrape_;
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
  if (seen_.size() > samples.size()) {
    std::erase_if(seen_, [this](const auto& entry) { return entry.second.scrape != scrape_; });
  }
  return seen_at;
}

std::vector<prometheus::MetricFamily> DestinationMetrics::Collect() const {
  auto taken = source_();
  if (!taken) return {};
  std::vector<DestinationSample>& samples = *taken;
  mergeByName(samples);
  std::vector<prometheus::MetricFamily> out;
  if (with_queue_) out.push_back(queueRecipients(samples));
  const std::lock_guard lock(mutex_);
  const std::vector<Seen*> seen = account(samples);
  Families families;
  DestinationSample other;
  for (size_t i = 0; i < samples.size(); ++i) {
    if (seen[i]->named) {
      families.add(samples[i].destination, samples[i], seen[i]->exported);
    } else {
      addTo(other, samples[i]);
    }
  }
  families.add(kOther, other, other_);
  for (auto* family :
       {&families.recipients, &families.oldest, &families.connections, &families.deliveries}) {
    out.push_back(std::move(*family));
  }
  return out;
}

}  // namespace sluice::metrics
