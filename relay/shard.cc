#include "relay/shard.h"

#include <algorithm>
#include <utility>

#include "relay/config/tls_files.h"

namespace sluice::relay {
namespace {

constexpr std::chrono::seconds kLagPeriod{1};

bool usesMtaSts(const Config& config, const SendConfig& connector) {
  return connector.route == Route::Mx &&
         (connector.limits.tls == SendTls::MtaSts ||
          std::any_of(config.destination.begin(), config.destination.end(),
                      [](const auto& one) { return one.tls == SendTls::MtaSts; }));
}

}  // namespace

Result<Plan> Plan::of(Config config, const std::shared_ptr<net::TicketKeys>& tickets) {
  Plan plan;
  plan.router = std::make_shared<Router>(config.send, config.destination);
  for (const ReceiveConfig& connector : config.receive) {
    auto tls = loadServerTls(connector, tickets);
    if (!tls.key.empty()) return fail(Errc::InvalidArgument, tls.key + ": " + tls.why);
    plan.receive.push_back(ReceiveSettings::from(config, connector, std::move(tls.context)));
  }
  auto send_tls = std::make_shared<DeliveryContext::TlsContexts>();
  for (const SendConfig& connector : config.send) {
    auto tls = loadClientTls(connector, verifiesNames(config, connector));
    if (!tls.key.empty()) return fail(Errc::InvalidArgument, tls.key + ": " + tls.why);
    send_tls->emplace(connector.name, std::move(tls.context));
  }
  const auto asks = std::find_if(config.send.begin(), config.send.end(),
                                 [&](const auto& one) { return usesMtaSts(config, one); });
  if (asks != config.send.end()) {
    plan.policy_hosts = {send_tls->at(asks->name), asks->allow_private_hosts};
  }
  plan.send_tls = std::move(send_tls);
  auto oauth = std::make_shared<OAuthSources>();
  for (const SendConfig& connector : config.send) {
    ASSIGN_OR_RETURN(auto source, OAuthSource::of(connector));
    if (source) oauth->emplace(connector.name, std::move(source));
  }
  plan.oauth = std::move(oauth);
  plan.dkim = DkimKeys::from(config.dkim);
  plan.config = std::make_shared<const Config>(std::move(config));
  return plan;
}

Result<std::unique_ptr<Shard>> Shard::create(size_t index, net::Loop& loop, ShardMetrics& metrics,
                                             const Plan& plan, const Shared& shared) {
  net::ResolverOptions options;
  options.servers = plan.config->dns.servers;
  options.timeout = plan.config->dns.timeout;
  options.attempts = plan.config->dns.attempts;
  options.trust_ad = plan.config->dns.trust_ad;
  options.metrics = &metrics.dns;
  ASSIGN_OR_RETURN(auto resolver, net::Resolver::create(loop, options));
  std::unique_ptr<Shard> shard(
      new Shard(loop, metrics, std::move(resolver), plan, shared.queue.shard(index), shared));
  shared.queue.setListener(index, *shard->dispatcher_);
  if (index == 0) {
    shard->reporter_ = std::make_unique<TlsReporter>(
        shard->context_, shared.tls_ledger, tlsResultsFile(*plan.config), shared.tls_reports);
  }
  return shard;
}

Shard::Shard(net::Loop& loop, ShardMetrics& metrics, std::unique_ptr<net::Resolver> resolver,
             const Plan& plan, queue::ShardQueue& queue, const Shared& shared)
    : loop_(loop),
      metrics_(metrics),
      resolver_(std::move(resolver)),
      policies_(loop, *resolver_, shared.policies),
      context_{loop,
               queue,
               *resolver_,
               shared.log,
               shared.budgets,
               metrics.delivery,
               metrics.send,
               plan.config,
               plan.router,
               shared.own_listeners,
               {},
               {},
               {}},
      dispatcher_(std::make_unique<Dispatcher>(context_)),
      tls_ledger_(shared.tls_ledger) {
  context_.tls = plan.send_tls;
  context_.dkim = plan.dkim;
  context_.signing = &shared.signing;
  context_.workers = &shared.workers;
  context_.oauth_sources = plan.oauth;
  context_.oauth = &shared.oauth;
  context_.tls_policies = &policies_;
  followTlsReport();
  for (const auto& settings : plan.receive) {
    const std::string& name = settings->connector.name;
    const AcceptContext accept{loop,
                               queue,
                               shared.log,
                               *metrics.receive.at(name),
                               plan.router,
                               plan.dkim,
                               &shared.signing,
                               &shared.auth,
                               &shared.limits,
                               shared.descriptors};
    connectors_.push_back(
        std::make_unique<ReceiveConnector>(accept, settings, *shared.connections.at(name)));
  }
  lag_.onDue([this] { sampleLag(); });
  lag_.arm(loop_.deadlines(), kLagPeriod);
}

Shard::~Shard() = default;

void Shard::followTlsReport() {
  context_.tls_results = context_.config->tls_report.from.empty() ? nullptr : &tls_ledger_;
}

void Shard::sampleLag() {
  metrics_.loop_lag.observe(std::chrono::duration<double>(loop_.takeWorstLag()).count());
  lag_.arm(loop_.deadlines(), kLagPeriod);
}

Result<void> Shard::listen(const std::string& connector, int socket) {
  for (const auto& one : connectors_) {
    if (one->name() == connector) return one->listen(socket);
  }
  return fail(Errc::NotFound, "no receive connector " + connector);
}

void Shard::stopListening(const std::string& connector, const Endpoint& at) {
  for (const auto& one : connectors_) {
    if (one->name() == connector) one->stopListening(at);
  }
}

void Shard::apply(const Plan& plan) {
  for (const SendConfig& connector : plan.config->send) {
    std::unique_ptr<ConnectorMetrics>& cells = metrics_.send[connector.name];
    if (!cells) cells = std::make_unique<ConnectorMetrics>();
  }
  context_.config = plan.config;
  context_.router = plan.router;
  context_.tls = plan.send_tls;
  context_.dkim = plan.dkim;
  context_.oauth_sources = plan.oauth;
  followTlsReport();
  resolver_->flushCache();
  for (const auto& connector : connectors_) {
    connector->setRouter(plan.router);
    connector->setDkim(plan.dkim);
    for (const auto& settings : plan.receive) {
      if (settings->connector.name == connector->name()) connector->setSettings(settings);
    }
  }
  dispatcher_->onRoutesChanged();
}

void Shard::drain(Task done) {
  draining_ = connectors_.size() + 1;
  auto shared = std::make_shared<Task>(std::move(done));
  const auto part_done = [this, shared] {
    if (--draining_ == 0) (*shared)();
  };
  for (const auto& connector : connectors_) connector->stopListening();
  for (const auto& connector : connectors_) connector->drain(part_done);
  dispatcher_->drain(part_done);
}

}  // namespace sluice::relay
