// From a TOML file, or from the environment, to a Config, with every mistake in its place.
//
// Reading never stops at the first mistake (but for a file that is no TOML at all: then the parser
// gives one). A LoadedConfig with mistakes must not be run. Not for the message path; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "relay/config/config.h"
#include "relay/config/mistakes.h"
#include "relay/config/surroundings.h"

namespace sluice::relay {

struct LoadedConfig {
  Config config;                        // complete, with every default resolved
  std::vector<ConfigMistake> mistakes;  // by line and column
  bool from_file = false;               // else from the environment
  std::string file;                     // which, if from_file
  bool ok() const { return mistakes.empty(); }
};

// `file_name` is only what mistakes call the text.
LoadedConfig parseConfig(std::string_view text, const std::string& file_name,
                         const Surroundings& surroundings = Surroundings::ofProcess());
LoadedConfig readConfig(const std::string& path,
                        const Surroundings& surroundings = Surroundings::ofProcess());

// `config_path` (--config) if it is not empty, else $SLUICE_CONFIG, else /etc/sluice/sluice.toml if
// there is one, else what the SLUICE_... variables say (relay/config/environment.h).
LoadedConfig loadConfig(const std::string& config_path);

}  // namespace sluice::relay
