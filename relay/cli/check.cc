// sluice check: is the configuration right, and what does it come to?
#include <memory>
#include <ostream>

#include "relay/cli/commands.h"
#include "relay/config/config_printer.h"

namespace sluice::relay {
namespace {

int check(const CliContext& context, bool print) {
  const LoadedConfig loaded = context.loadConfig();
  if (!reportMistakes(loaded, context.err)) return kExitFailed;
  if (print) {
    context.out << printConfig(loaded.config);
  } else {
    context.out << (loaded.from_file ? loaded.file : "environment") << ": ok\n";
  }
  return kExitOk;
}

}  // namespace

void addCheckCommand(CLI::App& app, CliContext& context) {
  CLI::App* command = app.add_subcommand("check", "Validate a configuration");
  command->footer(
      "Every mistake is printed as FILE:LINE:COL: message on standard error.\n"
      "Exit codes: 0 no mistakes, 1 mistakes.\n"
      "Example: sluice check --config /etc/sluice/sluice.toml --print");
  addConfigOption(*command, context);
  const auto print = std::make_shared<bool>(false);
  command->add_flag("--print", *print,
                    "Show the whole configuration, with defaults, secrets hidden");
  command->callback([&context, print] { context.exit_code = check(context, *print); });
}

}  // namespace sluice::relay
