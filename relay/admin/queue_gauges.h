// The metrics of the queue and of destinations that come of one look at all shards.
//
// Both sluice_queue_recipients and sluice_destination_*, so that a scrape asks the shards once and
// the two agree: what waits for a host that rests counts as deferred in both.
#pragma once

#include <prometheus/collectable.h>

#include "metrics/destinations.h"
#include "relay/admin/control.h"

namespace sluice::relay {

class QueueGauges final : public prometheus::Collectable {
 public:
  // `named`: metrics_destinations. The Control outlives it.
  QueueGauges(Control& control, size_t named) : control_(control), destinations_(named) {}

  // Nothing if the shards do not answer: a gap is better than a wrong zero.
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  Control& control_;
  metrics::DestinationMetrics destinations_;
};

}  // namespace sluice::relay
