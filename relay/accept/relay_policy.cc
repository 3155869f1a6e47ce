// The rules of who may relay, in the order in which they are asked.
#include "relay/accept/relay_policy.h"

#include <algorithm>

#include "net/smtp/path.h"

namespace sluice::relay {

bool containsAny(const std::vector<IpNetwork>& networks, const IpAddress& address) {
  return std::any_of(networks.begin(), networks.end(),
                     [&](const IpNetwork& network) { return network.contains(address); });
}

RelayVerdict mayRelay(const ReceiveConfig& connector, const RelayClient& client) {
  if (client.authenticated) return {true, "authenticated"};
  // A connector that requires authentication does so from its relay networks, too.
  if (connector.auth == ReceiveAuth::Required) return {false, "not authenticated"};
  if (client.certificate) return {true, "client certificate"};
  if (client.known && containsAny(connector.relay_networks, client.address)) {
    return {true, "relay network"};
  }
  if (connector.open_relay) return {true, "open relay"};
  return {false, "not in a relay network and not authenticated"};
}

bool isSenderDomain(const ReceiveConfig& connector, std::string_view reverse_path) {
  if (connector.sender_domains.empty() || reverse_path.empty()) return true;
  const auto domain = smtp::domainKey(smtp::domainOf(reverse_path));
  if (!domain) return false;
  return std::any_of(connector.sender_domains.begin(), connector.sender_domains.end(),
                     [&](const std::string& allowed) {
                       if (allowed == "*") return true;
                       return allowed.front() == '.' ? domain->ends_with(allowed)
                                                     : *domain == allowed;
                     });
}

}  // namespace sluice::relay
