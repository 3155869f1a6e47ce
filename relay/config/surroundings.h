// What a configuration depends on beside its text: environment variables and the machine. Given as
// a value, so that tests can set the scene.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace sluice::relay {

struct Surroundings {
  std::function<std::optional<std::string>(const std::string& name)> variable;
  std::string hostname;       // default for `hostname`
  uint64_t memory_bytes = 0;  // what percentages of memory refer to
  bool ipv6_loopback = true;  // [::1] can be listened on

  static Surroundings ofProcess();
};

}  // namespace sluice::relay
