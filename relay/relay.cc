#include "relay/relay.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <climits>
#include <condition_variable>
#include <utility>

#include "relay/config/build_version.h"
#include "relay/config/reload.h"
#include "relay/config/tls_files.h"
#include "relay/config/units.h"

namespace sluice::relay {
namespace {

constexpr size_t kDeliveryWorkers = 2;
constexpr size_t kMaxWaitingWork = 1000;
constexpr std::chrono::seconds kAbortTime{3};    // for what a drain that took too long leaves
constexpr std::chrono::seconds kAnswerTime{10};  // of a loop, to anything else

constexpr std::string_view kQuota = "quota/";  // names of the settings that keep what is used

// The rest is for the queue's files and for delivery, which must go on when clients are too many.
constexpr rlim_t kShareReserved = 4;  // a quarter
constexpr rlim_t kMostReserved = 4096;

int clientDescriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > INT_MAX) return INT_MAX;
  const rlim_t reserved = std::min(limit.rlim_cur / kShareReserved, kMostReserved);
  return static_cast<int>(limit.rlim_cur - reserved);
}

std::string joined(const std::vector<std::string>& lines, std::string_view between) {
  std::string out;
  for (const std::string& line : lines) {
    if (!out.empty()) out += between;
    out += line;
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<Relay>> Relay::start(Config config, Listeners listeners,
                                            LoadConfig load_again, EventLog& log) {
  auto tickets = std::make_shared<net::TicketKeys>();
  ASSIGN_OR_RETURN(Plan plan, Plan::of(std::move(config), tickets));
  std::unique_ptr<Relay> relay(new Relay(std::move(plan), std::move(listeners), std::move(tickets),
                                         std::move(load_again), log));
  RETURN_IF_ERROR(relay->begin());
  return relay;
}

Relay::Relay(Plan plan, Listeners listeners, std::shared_ptr<net::TicketKeys> tickets,
             LoadConfig load_again, EventLog& log)
    : log_(log),
      load_again_(std::move(load_again)),
      started_at_(Clock::system().wall()),
      plan_(std::move(plan)),
      tickets_(std::move(tickets)),
      tls_files_seen_(tlsFilesState(*plan_.config)),
      tls_files_taken_(tls_files_seen_),
      listeners_(std::move(listeners)),
      auth_(log),
      workers_(kDeliveryWorkers, kMaxWaitingWork) {
  loadUsers(*plan_.config);
}

Relay::~Relay() {
  if (!stopped_) stop();
}

void Relay::loadUsers(const Config& config) {
  for (const ReceiveConfig& connector : config.receive) {
    if (!connector.users_file.empty()) auth_.load(connector.users_file);
  }
}

Result<void> Relay::begin() {
  const Config& config = *plan_.config;
  shard_count_ = shardCount(config);
  budgets_.setShards(shard_count_);
  makeMetrics(config);
  for (size_t i = 0; i < shard_count_; ++i) {
    ASSIGN_OR_RETURN(auto loop, net::Loop::create());
    loops_.push_back(std::move(loop));
  }
  signing_ = std::make_unique<SigningPool>(shard_count_);
  RETURN_IF_ERROR(openQueue());
  restoreUsage();
  RETURN_IF_ERROR(startHttps());
  RETURN_IF_ERROR(makeShards());
  for (const auto& loop : loops_) threads_.emplace_back([raw = loop.get()] { raw->run(); });
  RETURN_IF_ERROR(startAdmin());
  registerMetrics();
  RETURN_IF_ERROR(control_->restoreSuspensions());
  RETURN_IF_ERROR(listenOnAll());
  queue_->startRecovery();
  log_.log({LogLevel::Info,
            "started",
            {{"version", std::string(sluiceVersion())},
             {"hostname", config.hostname},
             {"shards", static_cast<int64_t>(shard_count_)},
             {"admin", Endpoint{config.admin.listen.address, admin_->port()}.toString()}}});
  return {};
}

void Relay::makeMetrics(const Config& config) {
  for (size_t i = 0; i < shard_count_; ++i) {
    ShardMetrics& shard = shard_metrics_.emplace_back();
    for (const SendConfig& connector : config.send) {
      shard.send[connector.name] = std::make_unique<ConnectorMetrics>();
    }
    for (const ReceiveConfig& connector : config.receive) {
      shard.receive[connector.name] = std::make_unique<AcceptMetrics>();
    }
  }
  for (const ReceiveConfig& connector : config.receive) {
    connections_[connector.name] = std::make_unique<ConnectionCount>();
  }
}

Result<void> Relay::openQueue() {
  const Config& config = *plan_.config;
  queue::QueueOptions options;
  options.directory = config.data_dir;
  if (config.queue.memory > 0) options.memory_bytes = config.queue.memory;
  options.database_memory_bytes = config.queue.database_memory;
  options.disk_reserve_bytes = config.queue.disk_reserve;
  options.commit_timeout = config.queue.commit_timeout;
  options.tracking.enabled = config.tracking.enabled;
  options.tracking.keep = config.tracking.keep;
  options.tracking.max_bytes = config.tracking.max_size;
  options.on_event = [this](const queue::StoreEvent& event) { onStoreEvent(event); };
  std::vector<net::Loop*> loops;
  for (const auto& loop : loops_) loops.push_back(loop.get());
  ASSIGN_OR_RETURN(queue_, queue::Queue::open(options, loops, queue_metrics_));
  return {};
}

Result<void> Relay::startHttps() {
  const DnsConfig& dns = plan_.config->dns;
  net::ResolverOptions options;
  options.servers = dns.servers;
  options.timeout = dns.timeout;
  options.attempts = dns.attempts;
  ASSIGN_OR_RETURN(https_, net::HttpsClient::create(options));
  oauth_ = std::make_unique<OAuthTokens>(*https_, log_);
  policies_ = std::make_unique<MtaStsPolicies>(*https_, log_, plan_.config->data_dir + "/mta-sts");
  policies_->setTrust(plan_.policy_hosts);
  return {};
}

Result<void> Relay::makeShards() {
  std::vector<Endpoint> own;
  for (const BoundListener& bound : listeners_.bound) own.push_back(bound.at);
  TlsReporter::load(tls_ledger_, tlsResultsFile(*plan_.config), log_);
  const Shard::Shared shared{*queue_,    log_,        budgets_,     connections_,       own,
                             *signing_,  auth_,       limits_,      workers_,           *oauth_,
                             *policies_, tls_ledger_, tls_reports_, clientDescriptors()};
  for (size_t i = 0; i < shard_count_; ++i) {
    ASSIGN_OR_RETURN(auto shard, Shard::create(i, *loops_[i], shard_metrics_[i], plan_, shared));
    shards_.push_back(std::move(shard));
  }
  return {};
}

Result<void> Relay::startAdmin() {
  RelayControl::Parts parts{*queue_,
                            {},
                            {},
                            log_,
                            [this] { return status(); },
                            [this] { return reload(); },
                            [this] {
                              std::vector<queue::QueueKey> keys;
                              const std::lock_guard lock(plan_mutex_);
                              for (const SendConfig& connector : plan_.config->send) {
                                if (connector.route == Route::SmartHost) {
                                  keys.push_back("=" + connector.name);
                                }
                              }
                              return keys;
                            },
                            [this](const std::string& name) {
                              const std::lock_guard lock(plan_mutex_);
                              return plan_.router->connector(name) != nullptr;
                            }};
  for (const auto& loop : loops_) parts.loops.push_back(loop.get());
  for (const auto& shard : shards_) parts.views.push_back(&shard->dispatcher());
  control_ = std::make_unique<RelayControl>(std::move(parts));
  ASSIGN_OR_RETURN(admin_, AdminServer::create(plan_.config->admin, *control_, registry_, log_));
  return {};
}

Result<void> Relay::listenOnAll() {
  for (BoundListener& bound : listeners_.bound) RETURN_IF_ERROR(listenOn(bound));
  return {};
}

Result<void> Relay::listenOn(BoundListener& bound) {
  struct Outcome {
    std::mutex mutex;
    Result<void> result;
  };
  // Shared: a shard may still be at its end of it when we have heard all.
  const auto outcome = std::make_shared<Outcome>();
  const bool answered = onShards(
      [outcome, &bound](Shard& shard, size_t index, Task done) {
        auto listening = shard.listen(bound.connector, std::exchange(bound.sockets[index], -1));
        if (!listening) {
          const std::lock_guard lock(outcome->mutex);
          outcome->result = listening;
        }
        done();
      },
      kAnswerTime);
  if (!answered) return fail(Errc::Timeout, "the event loops do not answer");
  const std::lock_guard lock(outcome->mutex);
  RETURN_IF_ERROR(outcome->result);
  log_.log({LogLevel::Info,
            "listening",
            {{"connector", bound.connector},
             {"address", bound.at.toString()},
             {"inherited", listeners_.handed.find(bound.at) != nullptr}}});
  return {};
}

RelayStatus Relay::status() const {
  RelayStatus status;
  status.version = std::string(sluiceVersion());
  {
    const std::lock_guard lock(plan_mutex_);
    status.hostname = plan_.config->hostname;
    status.drain_ends = drain_ends_;
    countConnections(status);
  }
  status.started_at = started_at_;
  status.shards = shard_count_;
  status.draining = draining_;
  queue::AgeCounts::Buckets ages{};
  for (const auto& shard : queue_metrics_.shards) shard.ages.addTo(ages, Clock::system().wall());
  status.ages.assign(ages.begin(), ages.end());
  const queue::StoreHealth health = queue_->health();
  status.ready = health.ready && !draining_;
  if (draining_) {
    status.why_not_ready = "draining";
  } else if (!health.ready) {
    status.why_not_ready = health.why_not;
  }
  return status;
}

void Relay::countConnections(RelayStatus& status) const {
  int64_t in = 0, out = 0;
  for (const ShardMetrics& shard : shard_metrics_) {
    for (const auto& [name, cells] : shard.receive) in += cells->connections.value();
    for (const auto& [name, cells] : shard.send) out += cells->connections.value();
  }
  status.connections_in = static_cast<uint64_t>(std::max<int64_t>(in, 0));
  status.connections_out = static_cast<uint64_t>(std::max<int64_t>(out, 0));
}

void Relay::onStoreEvent(const queue::StoreEvent& event) {
  using What = queue::StoreEvent::What;
  const char* name = "store_damaged";
  LogLevel level = LogLevel::Error;
  switch (event.what) {
    case What::RecoveryDropped:
      name = "recovery_dropped";
      level = LogLevel::Warn;
      break;
    case What::Quarantined:
      name = "quarantined";
      break;
    case What::WriteFailed:
      name = "store_failed";
      break;
    case What::Reopened:
      name = "store_reopened";
      level = LogLevel::Warn;
      break;
    case What::ReopenFailed:
      name = "store_reopen_failed";
      break;
    case What::Damaged:
      break;
  }
  LogEvent out{level, name, {{"detail", event.detail}}};
  if (!event.id.empty()) out.fields.insert(out.fields.begin(), {"id", event.id});
  log_.log(std::move(out));
}

bool Relay::onShards(const std::function<void(Shard&, size_t, Task)>& what, Duration limit) {
  struct Waiting {
    std::mutex mutex;
    std::condition_variable changed;
    size_t left;
  };
  auto waiting = std::make_shared<Waiting>();
  waiting->left = shards_.size();
  for (size_t i = 0; i < shards_.size(); ++i) {
    loops_[i]->post([this, i, what, waiting] {
      what(*shards_[i], i, [waiting] {
        const std::lock_guard lock(waiting->mutex);
        --waiting->left;
        waiting->changed.notify_all();
      });
    });
  }
  std::unique_lock lock(waiting->mutex);
  return waiting->changed.wait_for(lock, limit, [&] { return waiting->left == 0; });
}

Result<void> Relay::reload() {
  const LoadedConfig loaded = load_again_();
  const std::lock_guard lock(plan_mutex_);
  const auto refuse = [this](std::vector<std::string> reasons) -> Result<void> {
    reload_failures_.add();
    const std::string text = joined(reasons, "\n");
    log_.log({LogLevel::Error, "reload_failed", {{"reason", text}}});
    return fail(Errc::InvalidArgument, text);
  };
  if (!loaded.ok()) {
    std::vector<std::string> lines;
    for (const ConfigMistake& mistake : loaded.mistakes) lines.push_back(mistake.toString());
    noteBrokenCertificates();
    return refuse(std::move(lines));
  }
  const auto restart = changesForRestart(*plan_.config, loaded.config);
  if (!restart.empty()) {
    return refuse({"needs a restart, nothing was changed: " + joined(restart, ", ")});
  }
  auto added = bindNew(loaded.config);
  if (!added) return refuse({added.error().detail});
  tls_files_seen_ = tls_files_taken_ = tlsFilesState(loaded.config);
  auto next = Plan::of(loaded.config, tickets_);
  if (!next) {
    closeUnused(*added);
    return refuse({next.error().detail});
  }
  loadUsers(*next->config);
  const auto before = plan_.config;
  if (auto applied = apply(std::move(*next)); !applied) {
    closeUnused(*added);
    return applied;
  }
  RETURN_IF_ERROR(moveListeners(std::move(*added), *before));
  admin_->reconfigure(plan_.config->admin);
  registerSendConnectors();
  log_.log({LogLevel::Info, "reloaded", {}});
  return {};
}

Result<void> Relay::apply(Plan next) {
  const bool applied = onShards(
      [next](Shard& shard, size_t, Task done) {
        shard.apply(next);
        done();
      },
      kAnswerTime);
  if (!applied) return fail(Errc::Timeout, "the event loops do not answer");
  plan_ = std::move(next);
  policies_->setTrust(plan_.policy_hosts);
  return {};
}

// What a refused reload has said of the certificates need not be said again by renewCertificates().
void Relay::noteBrokenCertificates() {
  const std::string state = tlsFilesState(*plan_.config);
  if (state != tls_files_taken_ && !Plan::of(*plan_.config, tickets_)) {
    tls_files_seen_ = tls_files_taken_ = state;
  }
}

void Relay::renewCertificates() {
  const std::lock_guard lock(plan_mutex_);
  std::string state = tlsFilesState(*plan_.config);
  const bool settled = state == tls_files_seen_;
  tls_files_seen_ = std::move(state);
  if (!settled || tls_files_seen_ == tls_files_taken_) return;
  tls_files_taken_ = tls_files_seen_;
  auto next = Plan::of(*plan_.config, tickets_);
  Result<void> result = next ? apply(std::move(*next)) : tl::unexpected<Error>(next.error());
  if (result) return log_.log({LogLevel::Info, "certificates_renewed", {}});
  reload_failures_.add();
  log_.log({LogLevel::Error, "certificates_not_renewed", {{"reason", result.error().detail}}});
}

void Relay::restoreUsage() {
  for (const auto& [name, value] : queue_->settings(std::string(kQuota))) {
    if (!limits_.restore(name.substr(kQuota.size()), value)) (void)queue_->removeSetting(name);
  }
}

void Relay::keepUsage() {
  for (const auto& [user, used] : limits_.usage()) {
    (void)queue_->putSetting(std::string(kQuota) + user, used);  // else with the next change
  }
}

bool Relay::stop() {
  stopped_ = true;
  RelayStatus under_way;
  {
    const std::lock_guard lock(plan_mutex_);
    drain_ends_ = Clock::system().wall() + plan_.config->queue.drain_timeout;
    countConnections(under_way);
  }
  draining_ = true;
  listeners_.handed = HandedSockets();  // whoever waits there waits for the next of us
  bool in_time = true;
  if (!threads_.empty()) {
    log_.log({LogLevel::Info,
              "draining",
              {{"clients", static_cast<int64_t>(under_way.connections_in)},
               {"connections", static_cast<int64_t>(under_way.connections_out)},
               {"within", formatDuration(plan_.config->queue.drain_timeout)}}});
    in_time = drainShards();
    admin_.reset();
    control_.reset();
    onShards(
        [this](Shard&, size_t index, Task done) {
          shards_[index].reset();
          done();
        },
        kAnswerTime);
  }
  if (signing_) signing_->stop();  // the loops outlive it
  if (queue_) {
    keepUsage();
    queue_->close();
  }
  for (const auto& loop : loops_) loop->stop();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  auth_.stop();  // before the loops that they answer on
  workers_.stop();
  if (https_) https_->stop();
  saveTlsResults();
  shards_.clear();
  queue_.reset();
  loops_.clear();
  log_.log({LogLevel::Info, "stopped", {{"in_time", in_time}}});
  return in_time;
}

void Relay::saveTlsResults() {
  const auto saved = TlsReporter::save(tls_ledger_, tlsResultsFile(*plan_.config));
  if (saved) return;
  log_.log({LogLevel::Error, "tls_results_not_saved", {{"reason", saved.error().detail}}});
}

bool Relay::drainShards() {
  const auto limit = plan_.config->queue.drain_timeout;
  const bool in_time =
      onShards([](Shard& shard, size_t, Task done) { shard.drain(std::move(done)); }, limit);
  if (in_time) return true;
  onShards(
      [](Shard& shard, size_t, Task done) {
        shard.abortDeliveries();
        done();
      },
      kAbortTime);
  return false;
}

}  // namespace sluice::relay
