// Which addresses may a name that comes from mail or DNS not lead to?
//
// An MX record is a stranger's word: without this rule it would make the relay talk to services
// that only its own host or network may reach. Pure.
#pragma once

#include <span>
#include <vector>

#include "net/base/ip_address.h"

namespace sluice::net {

// Whatever is no place of the public Internet (IpAddress::isPrivate), unless one of the networks
// that the configuration allows holds it.
bool isRefusedAddress(const IpAddress& address, std::span<const IpNetwork> allowed);

// Drops the refused ones, keeps the order.
void dropRefusedAddresses(std::vector<IpAddress>& addresses, std::span<const IpNetwork> allowed);

}  // namespace sluice::net
