// The rules of who may relay, in the order in which they are asked.
#include "relay/accept/relay_policy.h"

#include <algorithm>

namespace sluice::relay {

RelayVerdict mayRelay(const ReceiveConfig& connector, const RelayClient& client) {
  if (client.authenticated) return {true, "authenticated"};
  // A connector that requires authentication does so from its relay networks, too.
  if (connector.auth == ReceiveAuth::Required) return {false, "not authenticated"};
  if (client.certificate) return {true, "client certificate"};
  const bool in_network =
      std::any_of(connector.relay_networks.begin(), connector.relay_networks.end(),
                  [&](const IpNetwork& network) { return network.contains(client.address); });
  if (in_network) return {true, "relay network"};
  if (connector.open_relay) return {true, "open relay"};
  return {false, "not in a relay network and not authenticated"};
}

}  // namespace sluice::relay
