// The command line: what every subcommand shares, and the run of one of them.
//
// Exit codes: 0 done, 1 the command failed or found something wrong, 2 the command line itself is
// wrong (unknown option, missing argument).
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <iosfwd>
#include <span>
#include <string>

#include "relay/config/config_reader.h"

namespace sluice::relay {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;

// Lives from the first option parsed to the end of the process. A command's callback sets
// exit_code; main() returns it.
struct CliContext {
  std::ostream& out;        // standard output
  std::ostream& err;        // standard error
  std::string config_path;  // --config; empty: not given
  int exit_code = kExitOk;
  // Reads the configuration in the order --config, $SLUICE_CONFIG, /etc/sluice/sluice.toml, else
  // the environment. Tests put their own here.
  std::function<LoadedConfig(const std::string& config_path)> read_config = &relay::loadConfig;

  LoadedConfig loadConfig() const { return read_config(config_path); }
};

// Adds --config FILE to a command.
CLI::Option* addConfigOption(CLI::App& command, CliContext& context);

// Prints every mistake as "FILE:LINE:COL: message" to `err`; true if there are none.
bool reportMistakes(const LoadedConfig& loaded, std::ostream& err);

using AddCommand = void (*)(CLI::App& app, CliContext& context);

// Parses the command line with these commands on offer, runs the chosen one, gives its exit code.
int runCli(int argc, const char* const* argv, std::span<const AddCommand> commands,
           CliContext& context);

}  // namespace sluice::relay
