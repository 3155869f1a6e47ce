// The running relay: its parts put together, and the order of start, reload, drain and stop.
//
// Start: with every address bound, open the queue, then listen; a mistake stops the start before
// the first client is answered. Stop: no new sessions, transactions under way finish
// (bounded), what they settled is written and synced, then the process may end.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "metrics/registry.h"
#include "net/http/https_client.h"
#include "net/loop.h"
#include "queue/queue.h"
#include "queue/queue_metrics.h"
#include "relay/admin/admin_server.h"
#include "relay/admin/relay_control.h"
#include "relay/config/config_reader.h"
#include "relay/listeners.h"
#include "relay/shard.h"

namespace sluice::relay {

class Relay {
 public:
  using LoadConfig = std::function<LoadedConfig()>;
  // `listeners` as of bindListeners(). Errors: whatever stops the start, with the reason in words.
  static Result<std::unique_ptr<Relay>> start(Config config, Listeners listeners,
                                              LoadConfig load_again, EventLog& log);
  ~Relay();

  // Drains and stops; true if everything ended within drain_timeout.
  bool stop();
  // Errors: InvalidArgument with every mistake, one a line, or what needs a restart; nothing
  // changes.
  Result<void> reload();
  // Looks whether certificates or keys have changed on disk, and takes them over once they stay as
  // they are from one look to the next. What cannot be used leaves the old ones.
  void renewCertificates();
  // Writes down what users have used of their quotas.
  void keepUsage();
  uint16_t adminPort() const { return admin_->port(); }

 private:
  Relay(Plan plan, Listeners listeners, std::shared_ptr<net::TicketKeys> tickets,
        LoadConfig load_again, EventLog& log);
  Result<void> begin();
  Result<void> apply(Plan next);  // plan_mutex_ is held
  void noteBrokenCertificates();  // plan_mutex_ is held
  Result<void> openQueue();
  Result<void> startHttps();
  Result<void> makeShards();
  Result<void> startAdmin();
  Result<void> listenOnAll();
  Result<void> listenOn(BoundListener& bound);
  // relay_listening.cc; plan_mutex_ is held
  Result<void> probeUnlessOurs(const Endpoint& at) const;
  Result<std::vector<BoundListener>> bindNew(
      const Config& next) const;  // all that is new, or nothing
  static void closeUnused(const std::vector<BoundListener>& added);
  Result<void> moveListeners(std::vector<BoundListener> added, const Config& before);
  void makeMetrics(const Config& config);
  void loadUsers(const Config& config);
  void restoreUsage();
  void saveTlsResults();
  // relay_metrics.cc
  void registerMetrics();
  void registerQueue();
  void registerReceiveConnectors();
  void registerDestinations();
  void registerTls();
  void registerSendConnectors();  // those that have no series yet
  RelayStatus status() const;
  void countConnections(RelayStatus& status) const;  // plan_mutex_ is held
  void onStoreEvent(const queue::StoreEvent& event);
  // Runs `what` on every shard's loop and waits, at most `limit`, until each has called its `done`;
  // false if some did not.
  bool onShards(const std::function<void(Shard&, size_t index, Task done)>& what, Duration limit);
  bool drainShards();

  // In the order in which they must be destroyed last to first.
  EventLog& log_;
  LoadConfig load_again_;
  WallTime started_at_;
  mutable std::mutex plan_mutex_;
  Plan plan_;                           // guarded by plan_mutex_ once running
  std::optional<WallTime> drain_ends_;  // guarded by plan_mutex_
  std::shared_ptr<net::TicketKeys> tickets_;
  std::string tls_files_seen_;   // tlsFilesState() at the last look; guarded by plan_mutex_
  std::string tls_files_taken_;  // what runs, or was refused; guarded by plan_mutex_
  Listeners listeners_;
  size_t shard_count_ = 1;
  std::deque<ShardMetrics> shard_metrics_;
  queue::QueueMetrics queue_metrics_;
  metrics::Counter reload_failures_;
  metrics::Registry registry_;
  std::unique_ptr<metrics::DestinationMetrics> destination_metrics_;
  BudgetRegistry budgets_;
  AuthServer auth_;
  UserLimits limits_;
  net::WorkerPool workers_;  // of delivery
  std::unique_ptr<net::HttpsClient> https_;
  std::unique_ptr<OAuthTokens> oauth_;
  std::unique_ptr<MtaStsPolicies> policies_;
  TlsLedger tls_ledger_{Clock::system()};
  TlsReportMetrics tls_reports_;
  std::map<std::string, std::unique_ptr<ConnectionCount>> connections_;
  std::set<std::string> registered_;  // send connectors that have series
  std::vector<std::unique_ptr<net::Loop>> loops_;
  std::unique_ptr<SigningPool> signing_;
  std::unique_ptr<queue::Queue> queue_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<std::thread> threads_;
  std::unique_ptr<RelayControl> control_;
  std::unique_ptr<AdminServer> admin_;
  std::atomic<bool> draining_{false};
  bool stopped_ = false;
};

}  // namespace sluice::relay
