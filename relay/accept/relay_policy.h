// May this client relay? Pure: no I/O, no state.
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
  bool certificate = false;  // one that tls_client_ca vouches for
};

struct RelayVerdict {
  bool allowed = false;
  std::string_view why;  // in words, for the log
};

RelayVerdict mayRelay(const ReceiveConfig& connector, const RelayClient& client);

}  // namespace sluice::relay
