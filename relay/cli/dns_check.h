// What the DNS says of a configuration, for `sluice check --dns`.
#pragma once

#include <string>
#include <vector>

#include "net/base/result.h"
#include "relay/config/config.h"

namespace sluice::relay {

struct DnsFinding {
  std::string name;     // of the record
  std::string problem;  // empty: as it should be
};

// Compares the published record of every [[dkim]] key with the key. Asks the configuration's
// servers and waits for them. Errors: Io (the resolver cannot be set up).
Result<std::vector<DnsFinding>> checkDns(const Config& config);

}  // namespace sluice::relay
