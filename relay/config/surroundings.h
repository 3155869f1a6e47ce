// What a configuration depends on beside its text: environment variables, the machine, and what
// this build is able to do. Given as a value, so that tests can set the scene.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "relay/config/capabilities.h"

namespace sluice::relay {

struct Surroundings {
  std::function<std::optional<std::string>(const std::string& name)> variable;
  std::string hostname;       // default for `hostname`
  uint64_t memory_bytes = 0;  // what percentages of memory refer to
  bool ipv6_loopback = true;  // [::1] can be listened on
  Capabilities capabilities;

  static Surroundings ofProcess();
};

}  // namespace sluice::relay
