#include "relay/accept/handed_sockets.h"

#include <algorithm>

namespace sluice::relay {
namespace {

bool listens(const ReceiveConfig& connector, const Endpoint& at) {
  return std::find(connector.listen.begin(), connector.listen.end(), at) != connector.listen.end();
}

}  // namespace

Result<HandedSockets> HandedSockets::match(std::vector<net::InheritedSocket> sockets,
                                           const std::vector<ReceiveConfig>& connectors) {
  HandedSockets handed;
  for (net::InheritedSocket& socket : sockets) {
    const std::string at = socket.at().toString();
    const auto named = std::find_if(connectors.begin(), connectors.end(),
                                    [&](const auto& one) { return one.name == socket.name(); });
    const bool known =
        named != connectors.end()
            ? listens(*named, socket.at())
            : std::any_of(connectors.begin(), connectors.end(),
                          [&](const auto& one) { return listens(one, socket.at()); });
    if (!known) {
      const std::string whose =
          named != connectors.end() ? "[[receive]] \"" + named->name + "\"" : "any [[receive]]";
      return fail(Errc::InvalidArgument, "the service manager hands over a socket at " + at +
                                             " (\"" + socket.name() +
                                             "\"), which is not in `listen` of " + whose);
    }
    if (handed.find(socket.at()) != nullptr) {
      return fail(Errc::InvalidArgument, "the service manager hands over two sockets at " + at);
    }
    handed.sockets_.push_back(std::move(socket));
  }
  return handed;
}

const net::InheritedSocket* HandedSockets::find(const Endpoint& at) const {
  const auto found = std::find_if(sockets_.begin(), sockets_.end(),
                                  [&](const auto& socket) { return socket.at() == at; });
  return found == sockets_.end() ? nullptr : &*found;
}

}  // namespace sluice::relay
