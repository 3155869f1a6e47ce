#include "relay/cli/local_relay.h"

#include <algorithm>
#include <cstdlib>

#include "relay/config/machine.h"

namespace sluice::relay {
namespace {

// The address to connect to for one that is listened on, if that can be done from this machine
// alone.
std::optional<IpAddress> loopbackOf(const IpAddress& listened) {
  if (listened == IpAddress()) return IpAddress::v4({127, 0, 0, 1});
  if (listened == IpAddress::v6({})) return *IpAddress::parse("::1");
  if (listened.isLoopback()) return listened;
  return std::nullopt;
}

std::optional<Endpoint> openListener(const ReceiveConfig& connector) {
  if (connector.tls == ReceiveTls::Implicit || connector.tls == ReceiveTls::StartTlsRequired ||
      connector.auth == ReceiveAuth::Required) {
    return std::nullopt;
  }
  for (const Endpoint& listened : connector.listen) {
    const auto address = loopbackOf(listened.address);
    const auto& may = connector.relay_networks;
    if (address && std::any_of(may.begin(), may.end(), [&](const IpNetwork& network) {
          return network.contains(*address);
        })) {
      return Endpoint{*address, listened.port};
    }
  }
  return std::nullopt;
}

}  // namespace

Result<LocalRelay> findLocalRelay(const CliContext& context, const std::string& wanted) {
  LocalRelay relay{{IpAddress::v4({127, 0, 0, 1}), 2525}, machineName()};
  const LoadedConfig loaded = context.loadConfig();
  if (!loaded.config.hostname.empty()) relay.hostname = loaded.config.hostname;
  const char* variable = std::getenv("SLUICE_RELAY");
  const std::string given = !wanted.empty() ? wanted : variable ? variable : "";
  if (!given.empty()) {
    ASSIGN_OR_RETURN(relay.endpoint, Endpoint::parse(given));
    return relay;
  }
  for (const ReceiveConfig& connector : loaded.config.receive) {
    if (const auto open = openListener(connector)) {
      relay.endpoint = *open;
      break;
    }
  }
  return relay;
}

}  // namespace sluice::relay
