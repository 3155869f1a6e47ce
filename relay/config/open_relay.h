// Would these networks let strangers relay?
#pragma once

#include <span>

#include "net/base/ip_address.h"

namespace sluice::relay {

// True if the networks together are so wide that they are the public Internet rather than
// somebody's own: as many public addresses as an IPv4 /7 or an IPv6 /16 holds. The widest networks
// that one organisation was ever given are an IPv4 /8 and an IPv6 /19; private ones do not count.
bool arePublic(std::span<const IpNetwork> networks);

}  // namespace sluice::relay
