// What this version can do of what a configuration may demand. A setting that demands security that
// is not there stops the start; it is never accepted and ignored.
#pragma once

#include <string_view>

namespace sluice::relay {

struct Capabilities {
  bool receive_tls = true;   // certificates, STARTTLS, implicit TLS, client certificates
  bool receive_auth = true;  // AUTH and users files
  bool send_tls = true;      // STARTTLS, verified names
  bool dane = true;
  bool mta_sts = true;
  bool send_auth = true;  // credentials for smart hosts
  bool dkim = true;
};

}  // namespace sluice::relay
