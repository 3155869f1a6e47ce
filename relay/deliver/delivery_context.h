// What everything that delivers on one shard shares. Plain references; all outlive delivery.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "metrics/destinations.h"
#include "net/dns/resolver.h"
#include "net/loop.h"
#include "net/sasl/scram_sha_256.h"
#include "net/tls/tls_client_context.h"
#include "net/worker_pool.h"
#include "queue/queue.h"
#include "relay/config/config.h"
#include "relay/deliver/connection_budget.h"
#include "relay/deliver/delivery_metrics.h"
#include "relay/deliver/host_health.h"
#include "relay/deliver/host_quirks.h"
#include "relay/deliver/oauth_tokens.h"
#include "relay/deliver/tls_policy.h"
#include "relay/deliver/tls_results.h"
#include "relay/log/event_log.h"
#include "relay/route/router.h"
#include "relay/sign/dkim_keys.h"
#include "relay/sign/signing_pool.h"

namespace sluice::relay {

struct DeliveryContext {
  net::Loop& loop;
  queue::ShardQueue& queue;
  net::Resolver& resolver;
  EventLog& log;
  BudgetRegistry& budgets;
  DeliveryMetrics& metrics;
  // By connector name; made before the loops run and at a reload, so that a scrape may read it.
  std::map<std::string, std::unique_ptr<ConnectorMetrics>>& connector_metrics;

  // Replaced together at a reload, between two turns of the loop.
  std::shared_ptr<const Config> config;
  std::shared_ptr<const Router> router;
  std::vector<Endpoint> own_listeners;  // mail that would go there loops

  HostHealth health;
  HostQuirks quirks;

  // Ends and deferrals by destination's name, in the order of metrics::kDeliveryResults.
  using Results = std::array<uint64_t, metrics::kDeliveryResults.size()>;
  static constexpr size_t kMaxCountedDestinations = 100'000;
  std::unordered_map<std::string, Results> results;

  // By connector name; replaced with `config`.
  using TlsContexts = std::map<std::string, std::shared_ptr<net::TlsClientContext>>;
  std::shared_ptr<const TlsContexts> tls;
  PlainHosts plain_hosts;
  TlsPolicySource* tls_policies = nullptr;  // MTA-STS; outlives delivery
  TlsResults* tls_results = nullptr;        // if TLS is reported on; replaced with `config`

  void count(const std::string& destination, size_t result) {
    const auto found = results.find(destination);
    if (found != results.end()) {
      ++found->second[result];
    } else if (results.size() < kMaxCountedDestinations) {
      results.emplace(destination, Results{}).first->second[result] = 1;
    }
  }

  // For our own notices; the keys are replaced at a reload, and null where nothing is signed.
  std::shared_ptr<const DkimKeys> dkim;
  SigningPool* signing = nullptr;  // there if `dkim` is

  // For what would stall the loop: SCRAM's keys, reads of token files.
  net::WorkerPool* workers = nullptr;
  // What SCRAM made of a password, so that it is made once and not a connection; bounded.
  static constexpr size_t kMaxScramKeys = 1000;
  std::unordered_map<std::string, sasl::ScramKeys> scram_keys;

  // Of connectors that authenticate by tokens from an endpoint; replaced with `config`.
  std::shared_ptr<const OAuthSources> oauth_sources;
  OAuthTokens* oauth = nullptr;

  ConnectorMetrics& metricsOf(const std::string& connector) const {
    static ConnectorMetrics nobody;
    const auto found = connector_metrics.find(connector);
    return found == connector_metrics.end() ? nobody : *found->second;
  }
};

}  // namespace sluice::relay
