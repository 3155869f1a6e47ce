// What of a changed configuration a running relay cannot take over without a restart.
#pragma once

#include <string>
#include <vector>

#include "relay/config/config.h"

namespace sluice::relay {

// Keys whose change waits for a restart, as "[queue] memory" or "[[receive]] \"apps\" listen"; a
// [[receive]] that came or went is one, too (its sockets are opened at the start). In the order of
// the file.
std::vector<std::string> changesForRestart(const Config& running, const Config& next);

}  // namespace sluice::relay
