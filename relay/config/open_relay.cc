#include "relay/config/open_relay.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace sluice::relay {
namespace {

constexpr int kPublicPrefixV4 = 7;
constexpr int kPublicPrefixV6 = 16;
constexpr int kUniqueLocalPrefix = 7;  // fc00::/7, the widest private network there is

using Number = unsigned __int128;

Number numberOf(const IpAddress& address) {
  Number number = 0;
  for (const uint8_t byte : address.bytes()) number = number << 8 | byte;
  return number;
}

bool isPrivate(const IpNetwork& network) {
  const int widest = network.base().isV4() ? kPublicPrefixV4 + 1 : kUniqueLocalPrefix;
  return network.base().isPrivate() && network.prefix() >= widest;
}

// Addresses of one family as ranges without overlaps: how many they hold.
double addressesIn(std::span<const IpNetwork> networks, bool v4) {
  std::vector<std::pair<Number, Number>> ranges;  // first and last
  for (const auto& network : networks) {
    if (network.base().isV4() != v4 || isPrivate(network)) continue;
    const int host_bits = (v4 ? 32 : 128) - network.prefix();
    const Number first = numberOf(network.base());
    const Number size_less_one = host_bits == 128 ? ~Number{0} : (Number{1} << host_bits) - 1;
    ranges.emplace_back(first, first + size_less_one);
  }
  std::sort(ranges.begin(), ranges.end());
  double total = 0;
  Number next = 0;  // first address that is not counted yet
  for (const auto& [first, last] : ranges) {
    const Number from = std::max(first, next);
    if (last < from) continue;
    total += static_cast<double>(last - from) + 1;
    if (last == ~Number{0}) break;
    next = last + 1;
  }
  return total;
}

}  // namespace

bool arePublic(std::span<const IpNetwork> networks) {
  return addressesIn(networks, true) >= std::ldexp(1.0, 32 - kPublicPrefixV4) ||
         addressesIn(networks, false) >= std::ldexp(1.0, 128 - kPublicPrefixV6);
}

}  // namespace sluice::relay
