// A whole configuration as TOML, with every default, secrets hidden.
//
// What it prints reads back as the same configuration (but for hidden secrets), and prints the same
// again.
#pragma once

#include <string>

#include "relay/config/config.h"

namespace sluice::relay {

std::string printConfig(const Config& config);

}  // namespace sluice::relay
