// Where does the relay of this machine listen for those who hand it mail without a password?
#pragma once

#include <string>

#include "net/base/ip_address.h"
#include "net/base/result.h"
#include "relay/cli/cli.h"

namespace sluice::relay {

struct LocalRelay {
  Endpoint endpoint;
  std::string hostname;  // for addresses without a domain
};

// `wanted` ("127.0.0.1:2525"), else $SLUICE_RELAY, else the first listener of the configuration
// that takes mail from loopback in clear, else 127.0.0.1:2525: who sends mail need not be able to
// read the configuration. Errors: Malformed (`wanted` or the variable is no address and port).
Result<LocalRelay> findLocalRelay(const CliContext& context, const std::string& wanted);

}  // namespace sluice::relay
