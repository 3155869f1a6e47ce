// Which addresses may a name that comes from mail or DNS not lead to?
#include "net/dns/refused_addresses.h"

#include <algorithm>

namespace sluice::net {

bool isRefusedAddress(const IpAddress& address, std::span<const IpNetwork> allowed) {
  return address.isPrivate() &&
         std::none_of(allowed.begin(), allowed.end(),
                      [&address](const IpNetwork& network) { return network.contains(address); });
}

void dropRefusedAddresses(std::vector<IpAddress>& addresses, std::span<const IpNetwork> allowed) {
  std::erase_if(addresses,
                [allowed](const IpAddress& address) { return isRefusedAddress(address, allowed); });
}

}  // namespace sluice::net
