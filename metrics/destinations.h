// The sluice_destination_* metrics: the busiest destinations by name, the rest summed as "other";
// and, out of the same look at the relay, the queue's recipients by state.
//
// Which destinations are the busiest changes from scrape to scrape, so their counters are kept as
// what was added while a destination was named, and "other" gets what was added while it was not:
// no counter runs back, and the sum of their rates is right.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <array>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace sluice::metrics {

inline constexpr std::array<const char*, 5> kDeliveryResults{"delivered", "deferred", "bounced",
                                                             "expired", "discarded"};

// One destination, summed over the shards.
struct DestinationSample {
  std::string destination;
  uint64_t ready = 0;
  uint64_t active = 0;
  uint64_t deferred = 0;
  uint64_t held = 0;
  double oldest_seconds = 0;
  uint64_t connections = 0;
  std::array<uint64_t, kDeliveryResults.size()> results{};  // since it was first seen
};

class DestinationMetrics final : public prometheus::Collectable {
 public:
  // Called on the scraping thread; nothing if the relay does not answer, and then nothing is shown:
  // a gap is better than a wrong zero. Samples of one name are summed.
  using Source = std::function<std::optional<std::vector<DestinationSample>>()>;
  // `named`: metrics_destinations. `with_queue`: sluice_queue_recipients too, summed over all.
  DestinationMetrics(size_t named, Source source, bool with_queue = false)
      : named_(named), source_(std::move(source)), with_queue_(with_queue) {}

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  using Results = std::array<uint64_t, kDeliveryResults.size()>;
  struct Seen {
    Results last{};      // as sampled at the last scrape
    Results exported{};  // added while it was named
    bool named = false;
    uint64_t scrape = 0;  // the last one that had it
  };
  // Gives each sample's Seen, whether it is named decided.
  std::vector<Seen*> account(const std::vector<DestinationSample>& samples) const;

  size_t named_;
  Source source_;
  bool with_queue_;
  mutable std::mutex mutex_;
  mutable std::unordered_map<std::string, Seen> seen_;  // guarded by mutex_, as all below
  mutable Results other_{};
  mutable uint64_t scrape_ = 0;
};

}  // namespace sluice::metrics
