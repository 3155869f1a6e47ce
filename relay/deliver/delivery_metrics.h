// What delivery counts, a struct a shard and connector; names and meanings are metrics/names.h's.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "metrics/buckets.h"
#include "metrics/cells.h"
#include "net/tls/tls_metrics.h"

namespace sluice::relay {

struct ConnectorMetrics {
  metrics::Counter delivered;
  metrics::Counter deferred;
  metrics::Counter bounced;
  metrics::Counter expired;
  metrics::Counter discarded;
  metrics::Counter ambiguous;
  metrics::Gauge connections;
  net::TlsMetrics tls;
  // policies[policy][result]: of connections to hosts that publish one.
  static constexpr std::array<std::string_view, 2> kPolicies{"dane", "mta-sts"};
  static constexpr std::array<std::string_view, 2> kPolicyResults{"kept", "failed"};
  std::array<std::array<metrics::Counter, kPolicyResults.size()>, kPolicies.size()> policies;
  metrics::Histogram delay_seconds{metrics::kDeliverySeconds};
};

struct DeliveryMetrics {
  metrics::Counter failure_notices;
  metrics::Counter delay_notices;
  metrics::Counter success_notices;
  metrics::Counter notices_undeliverable;  // no way to the sender, or the queue did not take it
};

}  // namespace sluice::relay
