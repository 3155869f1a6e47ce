// What does an attempt demand of TLS, and which hosts are known not to manage it?
#pragma once

#include <chrono>
#include <unordered_map>

#include "net/base/clock.h"
#include "net/base/ip_address.h"
#include "relay/config/config.h"

namespace sluice::relay {

struct TlsDemand {
  enum class When : uint8_t { Never, IfOffered, Always, FromTheStart } when = When::Never;
  bool verify = false;         // the certificate: a known CA's, for the host's name
  bool may_fall_back = false;  // to plaintext, on a new connection, if the handshake fails
};

// Pure. A smart host's port 465 speaks TLS from the first byte (RFC 8314 section 3.3).
TlsDemand tlsDemand(SendTls policy, Route route, uint16_t port);

// Hosts whose handshakes failed lately: opportunistic TLS leaves them alone for a while. One a
// shard; bounded.
class PlainHosts {
 public:
  static constexpr std::chrono::minutes kRemembered{15};
  static constexpr size_t kMaxHosts = 10'000;

  void add(const Endpoint& host, SteadyTime now);
  bool contains(const Endpoint& host, SteadyTime now);

 private:
  std::unordered_map<Endpoint, SteadyTime> until_;
};

}  // namespace sluice::relay
