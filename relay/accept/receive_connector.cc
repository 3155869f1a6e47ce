// How a receive connector takes connections in, and how it comes to its end.
#include "relay/accept/receive_connector.h"

namespace sluice::relay {
namespace {

constexpr std::string_view kTooMany = "421 4.3.2 Too many connections, try again later\r\n";
constexpr std::string_view kTooManyOfYours =
    "421 4.7.0 Too many connections from your address, try again later\r\n";
constexpr std::string_view kTooEarly = "554 5.5.0 Wait for the greeting before you talk\r\n";
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
  while (first_) {
    const std::unique_ptr<ServerSession> session(first_);
    first_ = session->next;
    release(*session);
  }
}

Result<void> ReceiveConnector::listen(int socket) {
  ASSIGN_OR_RETURN(
      auto listener,
      net::Listener::create(context_.loop, socket, [this](std::unique_ptr<net::TcpStream> stream) {
        accept(std::move(stream));
      }));
  listeners_.push_back(std::move(listener));
  return {};
}

void ReceiveConnector::accept(std::unique_ptr<net::Stream> stream) {
  const ReceiveConfig& connector = settings_->connector;
  if (draining_) {
    stream->write(kDraining);
    return stream->finish();
  }
  if (!settings_->implicit_tls && stream->inputWaits()) return refuseEarlyTalk(*stream);
  const auto verdict = count_.take(stream->peer().address, connector.max_connections,
                                   connector.max_connections_per_client);
  if (verdict != ConnectionCount::Verdict::Taken) return turnAway(*stream, verdict);
  auto session = std::make_unique<ServerSession>(context_, settings_, std::move(stream),
                                                 static_cast<ServerSession::Owner&>(*this));
  session->next = first_;
  if (first_) first_->previous = session.get();
  first_ = session.release();
  ++sessions_;
  context_.metrics.connections.add(1);
}

void ReceiveConnector::turnAway(net::Stream& stream, ConnectionCount::Verdict verdict) {
  const bool full = verdict == ConnectionCount::Verdict::Full;
  (full ? context_.metrics.shed_connections : context_.metrics.shed_per_client).add();
  context_.log.logLimited(full ? "too_many_connections" : "too_many_of_client",
                          {LogLevel::Warn,
                           "connection_refused",
                           {{"connector", name()},
                            {"address", stream.peer().toString()},
                            {"reason", full ? "max_connections" : "max_connections_per_client"}}});
  stream.write(full ? kTooMany : kTooManyOfYours);
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
