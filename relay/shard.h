// One event loop on one thread, and everything that lives on it: listeners, inbound sessions,
// resolver, delivery.
//
// Made before its thread runs; afterwards its parts are touched on the loop only (post()).
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "metrics/cells.h"
#include "net/dns/resolver.h"
#include "net/loop.h"
#include "queue/queue.h"
#include "relay/accept/receive_connector.h"
#include "relay/deliver/dispatcher.h"
#include "relay/deliver/mta_sts_source.h"
#include "relay/report/tls_reporter.h"

namespace sluice::relay {

// What is counted of one shard.
struct ShardMetrics {
  net::DnsMetrics dns;
  metrics::Histogram loop_lag{metrics::kLoopLagSeconds};
  DeliveryMetrics delivery;
  // By connector name; a reload may add some, before the shard hears of it, never removes any.
  std::map<std::string, std::unique_ptr<ConnectorMetrics>> send;
  std::map<std::string, std::unique_ptr<AcceptMetrics>> receive;
};

// What all shards share of a configuration; replaced as a whole at a reload.
struct Plan {
  std::shared_ptr<const Config> config;
  std::shared_ptr<const Router> router;
  std::vector<std::shared_ptr<const ReceiveSettings>> receive;
  std::shared_ptr<const DeliveryContext::TlsContexts> send_tls;
  std::shared_ptr<const DkimKeys> dkim;
  std::shared_ptr<const OAuthSources> oauth;
  MtaStsPolicies::Trust policy_hosts;

  // Reads certificates and keys. Errors: InvalidArgument (one of them cannot be used).
  static Result<Plan> of(Config config, const std::shared_ptr<net::TicketKeys>& tickets);
};

class Shard {
 public:
  struct Shared {
    queue::Queue& queue;
    EventLog& log;
    BudgetRegistry& budgets;
    std::map<std::string, std::unique_ptr<ConnectionCount>>& connections;  // by receive connector
    std::vector<Endpoint> own_listeners;
    SigningPool& signing;
    AuthServer& auth;
    UserLimits& limits;
    net::WorkerPool& workers;
    OAuthTokens& oauth;
    MtaStsPolicies& policies;
    TlsLedger& tls_ledger;
    TlsReportMetrics& tls_reports;
    int descriptors;  // that clients may have
  };
  // Errors: Io (the resolver cannot be set up).
  static Result<std::unique_ptr<Shard>> create(size_t index, net::Loop& loop, ShardMetrics& metrics,
                                               const Plan& plan, const Shared& shared);
  ~Shard();

  // On the loop. Takes over a bound socket of the receive connector.
  Result<void> listen(const std::string& connector, int socket);
  void stopListening(const std::string& connector, const Endpoint& at);
  void setOwnListeners(std::vector<Endpoint> own) { context_.own_listeners = std::move(own); }
  Dispatcher& dispatcher() { return *dispatcher_; }
  // On the loop.
  void apply(const Plan& plan);
  // Stops listening, ends sessions and connections in order; `done` when nobody is connected.
  void drain(Task done);
  void abortDeliveries() { dispatcher_->abortAll(); }

 private:
  Shard(net::Loop& loop, ShardMetrics& metrics, std::unique_ptr<net::Resolver> resolver,
        const Plan& plan, queue::ShardQueue& queue, const Shared& shared);
  void sampleLag();
  void followTlsReport();  // on or off, as the configuration says

  net::Loop& loop_;
  ShardMetrics& metrics_;
  std::unique_ptr<net::Resolver> resolver_;
  MtaStsSource policies_;
  DeliveryContext context_;
  std::unique_ptr<Dispatcher> dispatcher_;
  TlsLedger& tls_ledger_;
  std::unique_ptr<TlsReporter> reporter_;  // on the first shard
  std::vector<std::unique_ptr<ReceiveConnector>> connectors_;
  net::Deadline lag_;
  size_t draining_ = 0;  // parts that have not finished
};

}  // namespace sluice::relay
