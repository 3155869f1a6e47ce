// Which listening sockets that a service manager handed to us belong to which receive connector.
//
// The configuration stays the one that says where we listen: a socket must be at an address of
// `listen`, and takes the place of one that we would open there. A socket whose name is that of a
// connector belongs to that connector; another name (systemd's default is the unit's) to whichever
// has the address.
#pragma once

#include <string>
#include <vector>

#include "net/inherited_sockets.h"
#include "relay/config/config.h"

namespace sluice::relay {

class HandedSockets {
 public:
  HandedSockets() = default;
  // Errors: InvalidArgument, with the address that no connector lists.
  static Result<HandedSockets> match(std::vector<net::InheritedSocket> sockets,
                                     const std::vector<ReceiveConfig>& connectors);

  // The one for an address of `listen`; null if we open it ourselves.
  const net::InheritedSocket* find(const Endpoint& at) const;
  size_t size() const { return sockets_.size(); }

 private:
  std::vector<net::InheritedSocket> sockets_;
};

}  // namespace sluice::relay
