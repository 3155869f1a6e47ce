#include "relay/config/surroundings.h"

#include <cstdlib>

#include "relay/config/machine.h"

namespace sluice::relay {

Surroundings Surroundings::ofProcess() {
  Surroundings process;
  process.variable = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
  process.hostname = machineName();
  process.memory_bytes = usableMemoryBytes();
  process.ipv6_loopback = hasIpv6Loopback();
  return process;
}

}  // namespace sluice::relay
