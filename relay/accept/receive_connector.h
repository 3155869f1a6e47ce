// One receive connector on one shard: who is connected, how many may be, and how all of them end.
//
// On its loop's thread. Owns its listeners and sessions. Destroy it on the loop's thread after its
// drain, or when messages that are being committed no longer matter.
#pragma once

#include <memory>
#include <vector>

#include "net/deadlines.h"
#include "net/listener.h"
#include "net/proxy_stream.h"
#include "relay/accept/connection_count.h"
#include "relay/accept/server_session.h"

namespace sluice::relay {

class ReceiveConnector final : private ServerSession::Owner {
 public:
  // `count` is shared by the connector's shards; it and the context's members outlive this.
  ReceiveConnector(const AcceptContext& context, std::shared_ptr<const ReceiveSettings> settings,
                   ConnectionCount& count);
  ~ReceiveConnector() override;

  // Takes over a socket of net::bindListener and accepts on it, as long as descriptors are left.
  // Errors: Exists, Io.
  Result<void> listen(int socket);
  // Takes a connection, or turns it away with 421. One from a proxy's network is taken once it has
  // said for whom.
  void accept(std::unique_ptr<net::Stream> stream);

  // For sessions that begin from now on.
  void setSettings(std::shared_ptr<const ReceiveSettings> settings);
  // For recipients that come from now on.
  void setRouter(std::shared_ptr<const Router> router);
  // For contents that come from now on.
  void setDkim(std::shared_ptr<const DkimKeys> dkim);

  void stopListening();
  void stopListening(const Endpoint& at);  // there only; sessions go on
  // Stops listening, ends idle sessions, gives the others drain_timeout; then calls `done`, once
  // nobody is connected.
  void drain(Task done);

  const std::string& name() const { return settings_->connector.name; }
  size_t sessions() const { return sessions_; }

 private:
  // A connection whose PROXY header is still to come.
  struct Proxied {
    IpAddress proxy;
    std::unique_ptr<net::ProxyStream> stream;
    net::Deadline due;
    Proxied* next = nullptr;
    Proxied* previous = nullptr;
  };

  void onSessionOver(ServerSession& session) override;
  bool onClientChanged(ServerSession& session, const IpAddress& before) override;
  void awaitHeader(std::unique_ptr<net::Stream> stream);
  void onHeader(Proxied* proxied, const Result<void>& result);
  void endHeader(Proxied* proxied, const std::string& why);
  std::unique_ptr<Proxied> take(Proxied* proxied);
  void dropProxied();
  void begin(std::unique_ptr<net::Stream> stream, bool client_known);
  void refuseEarlyTalk(net::Stream& stream);
  void turnAway(net::Stream& stream, ConnectionCount::Verdict verdict);
  void shed(net::Stream& stream, std::string_view reply, metrics::Counter& counter,
            std::string_view reason);
  void release(const ServerSession& session);
  void buryLater();
  void onDrainTimeout();
  template <class Action>
  void forEach(Action action);

  AcceptContext context_;
  std::shared_ptr<const ReceiveSettings> settings_;
  ConnectionCount& count_;
  std::vector<std::unique_ptr<net::Listener>> listeners_;
  Proxied* first_proxied_ = nullptr;                   // an intrusive list, owned
  ServerSession* first_ = nullptr;                     // likewise
  std::vector<std::unique_ptr<ServerSession>> ended_;  // destroyed on the loop's next turn
  size_t sessions_ = 0;
  bool draining_ = false;
  bool burying_ = false;
  net::Deadline drain_deadline_;
  Task drained_;
  std::shared_ptr<ReceiveConnector*> self_;  // what deferred work may still find
};

}  // namespace sluice::relay
