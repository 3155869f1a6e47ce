#include "relay/admin/live_sample.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "metrics/snapshot.h"
#include "queue/queue_metrics.h"
#include "relay/admin/api_json.h"

namespace sluice::relay {
namespace {

using metrics::Snapshot;
using nlohmann::ordered_json;
namespace names = metrics::names;

constexpr size_t kHurting = 12;  // destinations

ordered_json whole(double value) { return static_cast<int64_t>(value); }

ordered_json toJson(const metrics::Buckets& buckets) {
  return {{"bounds", buckets.bounds}, {"counts", buckets.counts}};
}

ordered_json traffic(const Snapshot& now) {
  ordered_json out{{"accepted", whole(now.sum(names::kMessagesAccepted))},
                   {"bytes", whole(now.sum(names::kBytesAccepted))},
                   {"refused", whole(now.sum(names::kMessagesRefused))},
                   {"shed", whole(now.sum(names::kShed))}};
  for (const char* result : metrics::kDeliveryResults) {
    out[result] = whole(now.sum(names::kDeliveries, {{"result", result}}));
  }
  return out;
}

ordered_json dns(const Snapshot& now) {
  ordered_json out = toJson(now.buckets(names::kDnsSeconds));
  const metrics::Buckets failed = now.buckets(names::kDnsSeconds, {{"result", "failed"}});
  uint64_t sum = 0;
  for (const uint64_t count : failed.counts) sum += count;
  out["failed"] = sum;
  return out;
}

// [{"up_to": 60, "messages": 4}, …, {"up_to": null, "messages": 1}]
ordered_json agesJson(const std::vector<int64_t>& ages) {
  constexpr auto& kBounds = queue::AgeCounts::kBounds;
  ordered_json out = ordered_json::array();
  for (size_t i = 0; i < ages.size(); ++i) {
    out.push_back({{"up_to", i < kBounds.size() ? ordered_json(kBounds[i]) : ordered_json()},
                   {"messages", std::max<int64_t>(0, ages[i])}});
  }
  return out;
}

}  // namespace

std::string liveSample(Control& control, const metrics::Registry& registry,
                       DestinationBoard& board) {
  const Snapshot now(registry);
  const RelayStatus status = control.status();
  const WallTime time = Clock::system().wall();
  ordered_json hurting = ordered_json::array();
  size_t destinations = 0;
  if (const auto rows = board.rows()) {
    destinations = (*rows)->size();
    for (size_t i = 0; i < std::min(kHurting, destinations); ++i) {
      hurting.push_back(toJson((**rows)[i]));
    }
  }
  const auto connections = [&](const char* direction) {
    return whole(now.sum(names::kSmtpConnections, {{"direction", direction}}));
  };
  const ordered_json sample{
      {"time", formatRfc3339(time)},
      {"status", toJson(status, time)},
      {"traffic", traffic(now)},
      {"connections", {{"in", connections("in")}, {"out", connections("out")}}},
      {"delay", toJson(now.buckets(names::kDeliveryDelay))},
      {"commit", toJson(now.buckets(names::kCommitSeconds))},
      {"dns", dns(now)},
      {"ages", agesJson(status.ages)},
      {"memory_bytes", whole(now.sum(names::kMemory))},
      {"destinations", destinations},
      {"hurting", std::move(hurting)}};
  return sample.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace sluice::relay
