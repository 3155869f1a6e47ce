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
  int& of_client = clients_[clientOf(client)];
  if (max_per_client > 0 && of_client >= max_per_client) return Verdict::ClientFull;
  ++of_client;
  ++total_;
  return Verdict::Taken;
}

void ConnectionCount::release(const IpAddress& client) {
  const std::lock_guard lock(mutex_);
  --total_;
  forget(client);
}

void ConnectionCount::forget(const IpAddress& client) {
  const auto found = clients_.find(clientOf(client));
  if (found != clients_.end() && --found->second == 0) clients_.erase(found);
}

bool ConnectionCount::move(const IpAddress& from, const IpAddress& to, int max_per_client) {
  const std::lock_guard lock(mutex_);
  forget(from);
  const int count = ++clients_[clientOf(to)];
  return max_per_client <= 0 || count <= max_per_client;
}

int ConnectionCount::total() const {
  const std::lock_guard lock(mutex_);
  return total_;
}

}  // namespace sluice::relay
