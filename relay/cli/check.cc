// sluice check: is the configuration right, and what does it come to?
#include <memory>
#include <ostream>

#include "relay/cli/commands.h"
#include "relay/cli/dns_check.h"
#include "relay/config/config_printer.h"

namespace sluice::relay {
namespace {

// What the DNS says, a line each; false if something is wrong.
bool reportDns(const Config& config, const CliContext& context) {
  const auto findings = checkDns(config);
  if (!findings) {
    context.err << "sluice: " << findings.error().detail << '\n';
    return false;
  }
  bool good = true;
  for (const DnsFinding& finding : *findings) {
    good &= finding.problem.empty();
    (finding.problem.empty() ? context.out : context.err)
        << finding.name << ": " << (finding.problem.empty() ? "ok" : finding.problem) << '\n';
  }
  return good;
}

int check(const CliContext& context, bool print, bool dns) {
  const LoadedConfig loaded = context.loadConfig();
  if (!reportMistakes(loaded, context.err)) return kExitFailed;
  if (print) {
    context.out << printConfig(loaded.config);
  } else {
    context.out << (loaded.from_file ? loaded.file : "environment") << ": ok\n";
  }
  if (dns && !reportDns(loaded.config, context)) return kExitFailed;
  return kExitOk;
}

}  // namespace

void addCheckCommand(CLI::App& app, CliContext& context) {
  CLI::App* command = app.add_subcommand("check", "Validate a configuration");
  command->footer(
      "Every mistake is printed as FILE:LINE:COL: message on standard error.\n"
      "With --dns, the name servers are asked and each record that is not right is a mistake.\n"
      "Exit codes: 0 no mistakes, 1 mistakes.\n"
      "Example: sluice check --config /etc/sluice/sluice.toml --print");
  addConfigOption(*command, context);
  const auto print = std::make_shared<bool>(false);
  command->add_flag("--print", *print,
                    "Show the whole configuration, with defaults, secrets hidden");
  const auto dns = std::make_shared<bool>(false);
  command->add_flag("--dns", *dns, "Compare the published DKIM records with the keys, too");
  command->callback([&context, print, dns] { context.exit_code = check(context, *print, *dns); });
}

}  // namespace sluice::relay
