// How connections are counted in and out.
#include "relay/accept/connection_count.h"

namespace sluice::relay {
namespace {

// A client has a whole /64 of IPv6 addresses at its hand.
IpAddress clientOf(const IpAddress& address) {
  if (address.isV4()) return address;
  auto bytes = address.bytes();
  for (size_t i = 8; i < bytes.size(); ++i) bytes[i] = 0;
  return IpAddress::v6(bytes);
}

}  // namespace

ConnectionCount::Verdict ConnectionCount::take(const IpAddress& client, int max_connections,
                                               int max_per_client) {
  const std::lock_guard lock(mutex_);
  if (total_ >= max_connections) return Verdict::Full;
  const auto found = clients_.try_emplace(clientOf(client)).first;
  if (max_per_client > 0 && found->second >= max_per_client) return Verdict::ClientFull;
  ++found->second;
  ++total_;
  return Verdict::Taken;
}

void ConnectionCount::release(const IpAddress& client) {
  const std::lock_guard lock(mutex_);
  --total_;
  const auto found = clients_.find(clientOf(client));
  if (found != clients_.end() && --found->second == 0) clients_.erase(found);
}

int ConnectionCount::total() const {
  const std::lock_guard lock(mutex_);
  return total_;
}

}  // namespace sluice::relay
