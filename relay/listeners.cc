#include "relay/listeners.h"

#include "net/listener.h"
#include "relay/config/machine.h"

namespace sluice::relay {
namespace {

// One queue of connections, from which each shard takes.
Result<void> share(const net::InheritedSocket& handed, size_t shards, BoundListener& bound) {
  for (size_t i = 0; i < shards; ++i) {
    ASSIGN_OR_RETURN(const int copy, handed.duplicate());
    bound.sockets.push_back(copy);
  }
  return {};
}

Result<void> bind(size_t shards, BoundListener& bound) {
  for (size_t i = 0; i < shards; ++i) {
    ASSIGN_OR_RETURN(const int socket, net::bindListener(bound.at));
    bound.sockets.push_back(socket);
    bound.at = net::localEndpoint(socket);  // a port of the kernel's choice is one for all
  }
  return {};
}

}  // namespace

size_t shardCount(const Config& config) {
  return static_cast<size_t>(config.shards > 0 ? config.shards : usableCores());
}

Result<Listeners> bindListeners(const Config& config, std::vector<net::InheritedSocket> sockets) {
  Listeners all;
  ASSIGN_OR_RETURN(all.handed, HandedSockets::match(std::move(sockets), config.receive));
  for (const ReceiveConfig& connector : config.receive) {
    for (const Endpoint& at : connector.listen) {
      if (at.port == 0 || all.handed.find(at) != nullptr) continue;
      RETURN_IF_ERROR(net::probeListener(at));
    }
  }
  const size_t shards = shardCount(config);
  for (const ReceiveConfig& connector : config.receive) {
    for (const Endpoint& at : connector.listen) {
      BoundListener bound{connector.name, at, {}};
      const net::InheritedSocket* handed = all.handed.find(at);
      RETURN_IF_ERROR(handed ? share(*handed, shards, bound) : bind(shards, bound));
      all.bound.push_back(std::move(bound));
    }
  }
  return all;
}

}  // namespace sluice::relay
