// Every address of every receive connector, bound before anything else of the relay is there: it
// needs a privilege that the rest must not have.
#pragma once

#include <string>
#include <vector>

#include "net/base/ip_address.h"
#include "net/base/result.h"
#include "net/inherited_sockets.h"
#include "relay/accept/handed_sockets.h"
#include "relay/config/config.h"

namespace sluice::relay {

// An address of a receive connector, and its sockets, one a shard, until they listen.
struct BoundListener {
  std::string connector;
  Endpoint at;
  std::vector<int> sockets;  // -1: handed on
};

// `config.shards`, or the usable cores.
size_t shardCount(const Config& config);

struct Listeners {
  std::vector<BoundListener> bound;
  HandedSockets handed;  // those of them that the service manager holds, too
};

// All or nothing. `sockets` are what the service manager opened for us, if it did. Errors: as of
// net::bindListener and HandedSockets::match.
Result<Listeners> bindListeners(const Config& config,
                                std::vector<net::InheritedSocket> sockets = {});

}  // namespace sluice::relay
