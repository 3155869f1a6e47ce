#include "relay/cli/cli.h"

#include <ostream>

#include "relay/cli/version.h"

namespace sluice::relay {
namespace {

constexpr const char* kFooter =
    "Exit codes: 0 done, 1 the command failed or found something wrong, 2 wrong usage.\n"
    "Example: sluice serve --config /etc/sluice/sluice.toml";

// Help and version come as exceptions, too, with exit code 0.
int reportParseEnd(const CLI::App& app, const CLI::ParseError& end, CliContext& context) {
  return app.exit(end, context.out, context.err) == 0 ? kExitOk : kExitUsage;
}

}  // namespace

CLI::Option* addConfigOption(CLI::App& command, CliContext& context) {
  return command
      .add_option("--config,-c", context.config_path,
                  "Configuration file; else $SLUICE_CONFIG, else /etc/sluice/sluice.toml, else the "
                  "SLUICE_... variables")
      ->type_name("FILE");
}

bool reportMistakes(const LoadedConfig& loaded, std::ostream& err) {
  for (const ConfigMistake& mistake : loaded.mistakes) err << mistake.toString() << '\n';
  return loaded.ok();
}

int runCli(int argc, const char* const* argv, std::span<const AddCommand> commands,
           CliContext& context) {
  CLI::App app("Sluice: a high-throughput outbound mail relay", "sluice");
  app.footer(kFooter);
  app.require_subcommand(1);
  app.set_version_flag(
      "--version", [] { return versionText(); }, "Versions of Sluice and its libraries");
  for (const AddCommand add : commands) add(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& end) {
    return reportParseEnd(app, end, context);
  }
  return context.exit_code;
}

}  // namespace sluice::relay
