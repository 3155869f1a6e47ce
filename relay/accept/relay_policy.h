// May this client relay, and from which domains? Pure: no I/O, no state.
//
// Nobody may who is not named: a client relays by its network, by authentication, by its
// certificate, or because the connector says open_relay. Where mail goes does not matter here.
#pragma once

#include <string_view>

#include "net/base/ip_address.h"
#include "relay/config/config.h"

namespace sluice::relay {

struct RelayClient {
  IpAddress address;
  bool authenticated = false;
  bool certificate = false;  // one that tls_client_ca vouches for, or whose fingerprint is listed
  bool known = true;         // the address is the client's, and no proxy's for whomever
};

struct RelayVerdict {
  bool allowed = false;
  std::string_view why;  // in words, for the log
};

bool containsAny(const std::vector<IpNetwork>& networks, const IpAddress& address);

RelayVerdict mayRelay(const ReceiveConfig& connector, const RelayClient& client);

// Whether the connector's sender_domains have the domain of `reverse_path`. The null reverse-path
// names none and passes.
bool isSenderDomain(const ReceiveConfig& connector, std::string_view reverse_path);

}  // namespace sluice::relay
