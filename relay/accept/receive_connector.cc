// How a receive connector takes connections in, and how it comes to its end.
#include "relay/accept/receive_connector.h"

#include <algorithm>

namespace sluice::relay {
namespace {

constexpr std::string_view kTooMany = "421 4.3.2 Too many connections, try again later\r\n";
constexpr std::string_view kTooManyOfYours =
    "421 4.7.0 Too many connections from your address, try again later\r\n";
constexpr std::string_view kTooEarly = "554 5.5.0 Wait for the greeting before you talk\r\n";
// A proxy sends its header with the first segment; Postfix waits as long.
constexpr milliseconds kProxyHeaderTimeout{5'000};

constexpr std::string_view kDraining = "421 4.3.2 Shutting down, try again later\r\n";

}  // namespace

ReceiveConnector::ReceiveConnector(const AcceptContext& context,
                                   std::shared_ptr<const ReceiveSettings> settings,
                                   ConnectionCount& count)
    : context_(context),
      settings_(std::move(settings)),
      count_(count),
      drain_deadline_([this] { onDrainTimeout(); }),
      self_(std::make_shared<ReceiveConnector*>(this)) {}

ReceiveConnector::~ReceiveConnector() {
  *self_ = nullptr;
  dropProxied();
  while (first_) {
    const std::unique_ptr<ServerSession> session(first_);
    first_ = session->next;
    release(*session);
  }
}

Result<void> ReceiveConnector::listen(int socket) {
  const auto own = std::make_shared<net::Listener*>(nullptr);
  ASSIGN_OR_RETURN(auto listener,
                   net::Listener::create(
                       context_.loop, socket, [this, own](std::unique_ptr<net::TcpStream> stream) {
                         const bool left = (*own)->lastDescriptor() < context_.descriptors;
                         if (left) return accept(std::move(stream));
                         shed(*stream, kTooMany, context_.metrics.shed_descriptors, "descriptors");
                       }));
  *own = listener.get();
  listeners_.push_back(std::move(listener));
  return {};
}

void ReceiveConnector::accept(std::unique_ptr<net::Stream> stream) {
  const ReceiveConfig& connector = settings_->connector;
  if (draining_) {
    stream->write(kDraining);
    return stream->finish();
  }
  const IpAddress peer = stream->peer().address;
  const bool proxy = containsAny(connector.proxy_protocol_networks, peer);
  if (!proxy && !settings_->implicit_tls && stream->inputWaits()) return refuseEarlyTalk(*stream);
  const auto verdict = count_.take(peer, connector.max_connections,
                                   proxy ? 0 : connector.max_connections_per_client);
  if (verdict != ConnectionCount::Verdict::Taken) return turnAway(*stream, verdict);
  if (proxy) return awaitHeader(std::move(stream));
  begin(std::move(stream), true);
}

void ReceiveConnector::awaitHeader(std::unique_ptr<net::Stream> stream) {
  auto* proxied = new Proxied;
  proxied->proxy = stream->peer().address;
  proxied->next = first_proxied_;
  if (first_proxied_) first_proxied_->previous = proxied;
  first_proxied_ = proxied;
  proxied->due.onDue([this, proxied] { endHeader(proxied, "no PROXY header in time"); });
  proxied->due.arm(context_.loop.deadlines(),
                   std::min(kProxyHeaderTimeout, settings_->connector.command_timeout));
  proxied->stream = std::make_unique<net::ProxyStream>(
      context_.loop, std::move(stream),
      [this, proxied](const Result<void>& result) { onHeader(proxied, result); });
}

std::unique_ptr<ReceiveConnector::Proxied> ReceiveConnector::take(Proxied* proxied) {
  if (proxied->previous) proxied->previous->next = proxied->next;
  if (proxied->next) proxied->next->previous = proxied->previous;
  if (first_proxied_ == proxied) first_proxied_ = proxied->next;
  return std::unique_ptr<Proxied>(proxied);
}

void ReceiveConnector::dropProxied() {
  while (first_proxied_) {
    count_.release(first_proxied_->proxy);
    take(first_proxied_);
  }
}

void ReceiveConnector::onHeader(Proxied* proxied, const Result<void>& result) {
  if (!result) return endHeader(proxied, result.error().detail);
  const auto taken = take(proxied);
  std::unique_ptr<net::ProxyStream> stream = std::move(taken->stream);
  const IpAddress client = stream->peer().address;
  const bool in_bounds =
      count_.move(taken->proxy, client, settings_->connector.max_connections_per_client);
  const bool client_known = stream->clientKnown();
  const bool talks = !settings_->implicit_tls && stream->inputWaits();
  if (in_bounds && !talks) return begin(std::move(stream), client_known);
  count_.release(client);
  if (talks) return refuseEarlyTalk(*stream);
  turnAway(*stream, ConnectionCount::Verdict::ClientFull);
}

// Without a word: whoever cannot speak PROXY there is no SMTP client of ours.
void ReceiveConnector::endHeader(Proxied* proxied, const std::string& why) {
  const auto taken = take(proxied);
  count_.release(taken->proxy);
  context_.metrics.proxy_headers.add();
  context_.log.logLimited("proxy_header", {LogLevel::Warn,
                                           "connection_refused",
                                           {{"connector", name()},
                                            {"address", taken->stream->peer().toString()},
                                            {"reason", "proxy_header"},
                                            {"detail", why}}});
  taken->stream->close();
}

void ReceiveConnector::begin(std::unique_ptr<net::Stream> stream, bool client_known) {
  auto session =
      std::make_unique<ServerSession>(context_, settings_, std::move(stream),
                                      static_cast<ServerSession::Owner&>(*this), client_known);
  session->next = first_;
  if (first_) first_->previous = session.get();
  first_ = session.release();
  ++sessions_;
  context_.metrics.connections.add(1);
}

void ReceiveConnector::turnAway(net::Stream& stream, ConnectionCount::Verdict verdict) {
  if (verdict == ConnectionCount::Verdict::Full) {
    return shed(stream, kTooMany, context_.metrics.shed_connections, "max_connections");
  }
  shed(stream, kTooManyOfYours, context_.metrics.shed_per_client, "max_connections_per_client");
}

void ReceiveConnector::shed(net::Stream& stream, std::string_view reply, metrics::Counter& counter,
                            std::string_view reason) {
  counter.add();
  context_.log.logLimited(reason, {LogLevel::Warn,
                                   "connection_refused",
                                   {{"connector", name()},
                                    {"address", stream.peer().toString()},
                                    {"reason", std::string(reason)}}});
  stream.write(reply);
  stream.finish();
}

// RFC 5321 section 3.1: a client waits for the greeting. One that does not sends whatever it likes
// without reading a reply.
void ReceiveConnector::refuseEarlyTalk(net::Stream& stream) {
  context_.metrics.early_talkers.add();
  context_.log.logLimited(
      "early_talker",
      {LogLevel::Warn,
       "connection_refused",
       {{"connector", name()}, {"address", stream.peer().toString()}, {"reason", "early_talker"}}});
  stream.write(kTooEarly);
  stream.finish();
}

void ReceiveConnector::setSettings(std::shared_ptr<const ReceiveSettings> settings) {
  settings_ = std::move(settings);
}

void ReceiveConnector::setRouter(std::shared_ptr<const Router> router) {
  context_.router = std::move(router);
}

void ReceiveConnector::setDkim(std::shared_ptr<const DkimKeys> dkim) {
  context_.dkim = std::move(dkim);
}

void ReceiveConnector::stopListening() { listeners_.clear(); }

void ReceiveConnector::stopListening(const Endpoint& at) {
  std::erase_if(listeners_, [&](const auto& listener) { return listener->local() == at; });
}

template <class Action>
void ReceiveConnector::forEach(Action action) {
  for (ServerSession* session = first_; session != nullptr;) {
    ServerSession* next = session->next;  // the action may end the session, and no other
    action(*session);
    session = next;
  }
}

void ReceiveConnector::drain(Task done) {
  stopListening();
  draining_ = true;
  drained_ = std::move(done);
  drain_deadline_.arm(context_.loop.deadlines(), settings_->drain_timeout);
  dropProxied();
  forEach([](ServerSession& session) { session.drain(); });
  if (sessions_ == 0) buryLater();
}

void ReceiveConnector::onDrainTimeout() {
  forEach([](ServerSession& session) { session.cut(); });
}

void ReceiveConnector::onSessionOver(ServerSession& session) {
  if (session.previous) session.previous->next = session.next;
  if (session.next) session.next->previous = session.previous;
  if (first_ == &session) first_ = session.next;
  session.next = session.previous = nullptr;
  ended_.emplace_back(&session);
  release(session);
  buryLater();
}

bool ReceiveConnector::onClientChanged(ServerSession& session, const IpAddress& before) {
  return count_.move(before, session.client().address,
                     settings_->connector.max_connections_per_client);
}

void ReceiveConnector::release(const ServerSession& session) {
  --sessions_;
  count_.release(session.client().address);
  context_.metrics.connections.add(-1);
}

// A session cannot be destroyed from within its own callbacks.
void ReceiveConnector::buryLater() {
  if (burying_) return;
  burying_ = true;
  context_.loop.defer([self = self_] {
    ReceiveConnector* connector = *self;
    if (!connector) return;
    connector->burying_ = false;
    connector->ended_.clear();
    if (!connector->draining_ || connector->sessions_ > 0 || !connector->drained_) return;
    connector->drain_deadline_.cancel();
    Task done = std::move(connector->drained_);
    done();  // may destroy the connector
  });
}

}  // namespace sluice::relay
