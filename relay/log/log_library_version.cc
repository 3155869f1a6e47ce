#include "relay/log/log_library_version.h"

#include <spdlog/version.h>

namespace sluice::relay {

std::string spdlogVersion() {
  return std::to_string(SPDLOG_VER_MAJOR) + "." + std::to_string(SPDLOG_VER_MINOR) + "." +
         std::to_string(SPDLOG_VER_PATCH);
}

}  // namespace sluice::relay
