// Which cells of the relay's parts each metric shows.
#include <chrono>

#include "metrics/names.h"
#include "metrics/process.h"
#include "relay/config/build_version.h"
#include "relay/relay.h"

namespace sluice::relay {
namespace {

using metrics::Counter;
using metrics::Gauge;
using metrics::Histogram;
namespace names = metrics::names;

// The same cell of every shard.
template <class Cell, class Part, class Select>
std::vector<const Cell*> ofAll(const std::deque<Part>& shards, Select select) {
  std::vector<const Cell*> cells;
  for (const Part& shard : shards) cells.push_back(&select(shard));
  return cells;
}

void addTlsSessions(metrics::Registry& registry, const char* direction,
                    const std::vector<const net::TlsMetrics*>& shards) {
  for (size_t version = 0; version < net::TlsMetrics::kVersions.size(); ++version) {
    for (size_t resumed = 0; resumed < net::TlsMetrics::kResumed.size(); ++resumed) {
      std::vector<const Counter*> cells;
      for (const auto* shard : shards) cells.push_back(&shard->sessions[version][resumed]);
      registry.addCounter(names::kTlsSessions,
                          {direction, std::string(net::TlsMetrics::kVersions[version]),
                           std::string(net::TlsMetrics::kResumed[resumed])},
                          std::move(cells));
    }
  }
}

}  // namespace

void Relay::registerTls() {
  registry_.addCollector(names::kCertificateExpiry, [this](const metrics::Emit& emit) {
    const std::lock_guard lock(plan_mutex_);
    const WallTime now = Clock::system().wall();
    for (const auto& settings : plan_.receive) {
      if (!settings->tls) continue;
      const auto left = std::chrono::duration<double>(settings->tls->expiry() - now);
      emit({settings->connector.name}, left.count());
    }
  });
}

void Relay::registerSendConnectors() {
  for (const SendConfig& connector : plan_.config->send) {
    const std::string& name = connector.name;
    if (!registered_.insert(name).second) continue;
    const auto result = [&](const char* label, Counter ConnectorMetrics::*cell) {
      registry_.addCounter(names::kDeliveries, {name, label},
                           ofAll<Counter>(
                               shard_metrics_, [&](const ShardMetrics& shard) -> auto& {
                                 return (*shard.send.at(name)).*cell;
                               }));
    };
    result("delivered", &ConnectorMetrics::delivered);
    result("deferred", &ConnectorMetrics::deferred);
    result("bounced", &ConnectorMetrics::bounced);
    result("expired", &ConnectorMetrics::expired);
    result("discarded", &ConnectorMetrics::discarded);
    const auto at = [&](const ShardMetrics& shard) -> const ConnectorMetrics& {
      return *shard.send.at(name);
    };
    registry_.addCounter(names::kDeliveriesAmbiguous, {name},
                         ofAll<Counter>(
                             shard_metrics_, [&](const ShardMetrics& shard) -> auto& {
                               return at(shard).ambiguous;
                             }));
    registry_.addGauge(names::kSmtpConnections, {"out", name},
                       ofAll<Gauge>(
                           shard_metrics_, [&](const ShardMetrics& shard) -> auto& {
                             return at(shard).connections;
                           }));
    addTlsSessions(
        registry_, "out",
        ofAll<net::TlsMetrics>(
            shard_metrics_, [&](const ShardMetrics& shard) -> auto& { return at(shard).tls; }));
    for (size_t policy = 0; policy < ConnectorMetrics::kPolicies.size(); ++policy) {
      for (size_t kept = 0; kept < ConnectorMetrics::kPolicyResults.size(); ++kept) {
        registry_.addCounter(names::kTlsPolicies,
                             {name, std::string(ConnectorMetrics::kPolicies[policy]),
                              std::string(ConnectorMetrics::kPolicyResults[kept])},
                             ofAll<Counter>(
                                 shard_metrics_, [&](const ShardMetrics& shard) -> auto& {
                                   return at(shard).policies[policy][kept];
                                 }));
      }
    }
    registry_.addHistogram(names::kDeliveryDelay, {name},
                           ofAll<Histogram>(
                               shard_metrics_, [&](const ShardMetrics& shard) -> auto& {
                                 return at(shard).delay_seconds;
                               }));
  }
}

void Relay::registerReceiveConnectors() {
  for (const ReceiveConfig& connector : plan_.config->receive) {
    const std::string& name = connector.name;
    const auto counter = [&](Counter AcceptMetrics::*cell) {
      return ofAll<Counter>(
          shard_metrics_, [&](const ShardMetrics& shard) -> auto& {
            return (*shard.receive.at(name)).*cell;
          });
    };
    registry_.addCounter(names::kMessagesAccepted, {name}, counter(&AcceptMetrics::messages));
    registry_.addCounter(names::kBytesAccepted, {name}, counter(&AcceptMetrics::bytes));
    const auto fault = [&](const char* label, Counter AcceptMetrics::*cell) {
      registry_.addCounter(names::kClientFaults, {name, label}, counter(cell));
    };
    fault("timeout", &AcceptMetrics::timeouts);
    fault("early_talker", &AcceptMetrics::early_talkers);
    fault("proxy_header", &AcceptMetrics::proxy_headers);
    fault("held_back", &AcceptMetrics::held_back);
    fault("bare_newline", &AcceptMetrics::bare_newlines);
    fault("gone_before_reply", &AcceptMetrics::client_gone);
    addTlsSessions(registry_, "in",
                   ofAll<net::TlsMetrics>(
                       shard_metrics_, [&](const ShardMetrics& shard) -> auto& {
                         return shard.receive.at(name)->tls;
                       }));
    registry_.addCounter(names::kDkimMessages, {name, "signed"},
                         counter(&AcceptMetrics::signed_messages));
    registry_.addCounter(names::kDkimMessages, {name, "unsigned"},
                         counter(&AcceptMetrics::unsigned_messages));
    const auto authentications = [&](const char* result, Counter AcceptMetrics::*cell) {
      registry_.addCounter(names::kAuthentications, {name, result}, counter(cell));
    };
    authentications("accepted", &AcceptMetrics::auth_accepted);
    authentications("failed", &AcceptMetrics::auth_failed);
    authentications("shut_out", &AcceptMetrics::auth_shut_out);
    authentications("not_now", &AcceptMetrics::auth_not_now);
    registry_.addCounter(names::kShed, {"connections"}, counter(&AcceptMetrics::shed_connections));
    registry_.addCounter(names::kShed, {"connections_per_client"},
                         counter(&AcceptMetrics::shed_per_client));
    registry_.addCounter(names::kShed, {"descriptors"}, counter(&AcceptMetrics::shed_descriptors));
    registry_.addCounter(names::kShed, {"no_room"}, counter(&AcceptMetrics::shed_no_room));
    registry_.addGauge(names::kSmtpConnections, {"in", name},
                       ofAll<Gauge>(
                           shard_metrics_, [&](const ShardMetrics& shard) -> auto& {
                             return shard.receive.at(name)->connections;
                           }));
    for (size_t i = 0; i < AcceptMetrics::kRefusals.size(); ++i) {
      registry_.addCounter(names::kMessagesRefused,
                           {name, std::string(AcceptMetrics::kRefusals[i])},
                           ofAll<Counter>(
                               shard_metrics_, [&](const ShardMetrics& shard) -> auto& {
                                 return shard.receive.at(name)->refused[i];
                               }));
    }
  }
}

void Relay::registerQueue() {
  queue::QueueMetrics& queue = queue_metrics_;
  const auto number = [](const auto& cell) {
    return [&cell] { return static_cast<double>(cell.value()); };
  };
  registry_.addHistogram(names::kCommitSeconds, {}, {&queue.commit_seconds});
  registry_.addHistogram(names::kCommitMessages, {}, {&queue.commit_messages});
  registry_.addCounter(names::kSyncs, {}, number(queue.syncs));
  registry_.addGauge(names::kDiskFree, {}, number(queue.disk_free_bytes));
  registry_.addGauge(names::kRecoveryDroppedBytes, {}, number(queue.recovery_dropped_bytes));
  registry_.addGauge(names::kQuarantinedMessages, {}, number(queue.quarantined_messages));
  if (queue_->tracking()) {
    registry_.addGauge(names::kTrackingBytes, {},
                       [this] { return static_cast<double>(queue_->tracking()->bytes()); });
  }
  registry_.addGauge(names::kQueueMessages, {},
                     ofAll<Gauge>(
                         queue.shards, [](const queue::ShardQueueMetrics& shard) -> auto& {
                           return shard.messages;
                         }));
  registry_.addGauge(names::kQueueOldest, {}, [&queue] {
    const int64_t oldest = queue.oldest_us.value();
    if (oldest == 0) return 0.0;
    const int64_t now = Clock::system().wall().time_since_epoch().count();
    return now > oldest ? static_cast<double>(now - oldest) / 1e6 : 0.0;
  });
}

void Relay::registerMetrics() {
  registry_.addGauge(names::kBuildInfo, {std::string(sluiceVersion()), std::string(sluiceCommit())},
                     [] { return 1.0; });
  registry_.addGauge(names::kMemory, {},
                     [] { return static_cast<double>(metrics::residentBytes()); });
  registry_.addCounter(names::kLogDropped, {},
                       [this] { return static_cast<double>(log_.dropped()); });
  registry_.addCounter(names::kReloadFailures, {}, {&reload_failures_, &auth_.loadFailures()});
  registry_.addHistogram(
      names::kLoopLag, {},
      ofAll<Histogram>(
          shard_metrics_, [](const ShardMetrics& shard) -> auto& { return shard.loop_lag; }));
  const auto notices = [this](const char* kind, Counter DeliveryMetrics::*cell) {
    registry_.addCounter(names::kNotices, {kind},
                         ofAll<Counter>(
                             shard_metrics_, [&](const ShardMetrics& shard) -> auto& {
                               return shard.delivery.*cell;
                             }));
  };
  registry_.addCounter(names::kTlsReports, {"sent"}, {&tls_reports_.sent});
  registry_.addCounter(names::kTlsReports, {"failed"}, {&tls_reports_.failed});
  notices("failure", &DeliveryMetrics::failure_notices);
  notices("delay", &DeliveryMetrics::delay_notices);
  notices("success", &DeliveryMetrics::success_notices);
  for (size_t type = 0; type < net::DnsMetrics::kTypes.size(); ++type) {
    for (size_t result = 0; result < net::DnsMetrics::kResults.size(); ++result) {
      registry_.addHistogram(names::kDnsSeconds,
                             {std::string(net::DnsMetrics::kTypes[type]),
                              std::string(net::DnsMetrics::kResults[result])},
                             ofAll<Histogram>(
                                 shard_metrics_, [&](const ShardMetrics& shard) -> auto& {
                                   return shard.dns.seconds[type][result];
                                 }));
    }
  }
  registerQueue();
  registerReceiveConnectors();
  registerSendConnectors();
  registerTls();
  registerDestinations();
}

void Relay::registerDestinations() {
  const auto source = [this]() -> std::optional<std::vector<metrics::DestinationSample>> {
    std::vector<metrics::DestinationSample> samples;
    const WallTime now = Clock::system().wall();
    const auto seen = control_->visitQueues([&](const QueueStatus& queue) {
      metrics::DestinationSample sample;
      sample.destination = queue.destination.destination;
      sample.ready = queue.ready;
      sample.active = queue.active;
      sample.deferred = queue.deferred;
      sample.held = queue.held;
      if (queue.oldest) {
        sample.oldest_seconds =
            std::max(0.0, std::chrono::duration<double>(now - *queue.oldest).count());
      }
      sample.connections = queue.destination.connections;
      sample.results = queue.destination.results;
      samples.push_back(std::move(sample));
    });
    if (!seen) return std::nullopt;
    return samples;
  };
  // With the queue's recipients: what waits for a host that rests counts as deferred there.
  destination_metrics_ = std::make_unique<metrics::DestinationMetrics>(
      static_cast<size_t>(plan_.config->metrics_destinations), source, true);
  registry_.addCollectable(*destination_metrics_);
}

}  // namespace sluice::relay
