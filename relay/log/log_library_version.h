// The version of spdlog, for `sluice --version`; spdlog/ stays in this folder.
#pragma once

#include <string>

namespace sluice::relay {

std::string spdlogVersion();

}  // namespace sluice::relay
