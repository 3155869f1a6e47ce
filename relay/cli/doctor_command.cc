// sluice doctor: is it us or them, and what mends it?
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "net/smtp/path.h"
#include "relay/cli/admin_options.h"
#include "relay/cli/commands.h"
#include "relay/cli/table.h"
#include "relay/config/units.h"
#include "relay/doctor/examinations.h"

namespace sluice::relay {
namespace {

using nlohmann::ordered_json;

struct DoctorArguments {
  std::vector<std::string> from;
  std::vector<std::string> destinations;
  std::vector<std::string> addresses;
  std::string timeout = "5s";
  bool offline = false;
  bool strict = false;
  bool all = false;
  AdminOptions admin;
};

// "User <ann@example.com>", "ann@example.com" and "example.com" all mean the domain.
Result<std::string> domainIn(const std::string& text) {
  std::string_view rest = text;
  if (const size_t at = rest.rfind('@'); at != std::string_view::npos) rest.remove_prefix(at + 1);
  while (rest.ends_with('>')) rest.remove_suffix(1);
  auto domain = smtp::domainKey(rest);
  if (!domain) return fail(Errc::InvalidArgument, text + ": no domain");
  return domain;
}

Result<DoctorOptions> readArguments(const DoctorArguments& arguments) {
  DoctorOptions options;
  for (const std::string& text : arguments.from) {
    ASSIGN_OR_RETURN(std::string domain, domainIn(text));
    options.from.push_back(std::move(domain));
  }
  for (const std::string& text : arguments.destinations) {
    ASSIGN_OR_RETURN(std::string domain, domainIn(text));
    options.destinations.push_back(std::move(domain));
  }
  for (const std::string& text : arguments.addresses) {
    ASSIGN_OR_RETURN(const IpAddress address, IpAddress::parse(text));
    options.addresses.push_back(address);
  }
  const auto patience = parseDuration(arguments.timeout);
  if (!patience || *patience <= milliseconds(0)) {
    return fail(Errc::InvalidArgument, "--timeout: a duration such as \"5s\"");
  }
  options.patience = *patience;
  options.offline = arguments.offline;
  return options;
}

// Is a relay running here, and what does it say of itself?
void examineRelay(const LoadedConfig& loaded, const CliContext& context,
                  const DoctorArguments& arguments, Findings& findings) {
  // Its complaints go nowhere: that no relay runs is no failure of the doctor.
  std::ostream silent(nullptr);
  CliContext aside{silent, silent};
  aside.config_path = context.config_path;
  aside.read_config = [&loaded](const std::string&) { return loaded; };
  AdminSession session(aside, arguments.admin);
  const auto status = session.get("/api/v1/status");
  if (!status) {
    findings.note("relay", "", "no relay answers at the admin address",
                  "if one should: systemctl status sluice, and the end of its log");
    return;
  }
  const std::string version = memberText(*status, "version");
  if (memberFlag(*status, "ready")) {
    findings.ok("relay", version, "is running and ready");
  } else {
    findings.error("relay", version,
                   "is running, and takes no mail: " + memberText(*status, "why_not_ready"),
                   "sluice status says more");
  }
}

ordered_json toJson(const Findings& findings) {
  ordered_json items = ordered_json::array();
  for (const Finding& one : findings.all()) {
    items.push_back({{"level", toString(one.severity)},
                     {"check", one.check},
                     {"subject", one.subject},
                     {"text", one.text},
                     {"fix", one.fix.empty() ? ordered_json() : ordered_json(one.fix)}});
  }
  return {{"errors", findings.count(Severity::Error)},
          {"warnings", findings.count(Severity::Warning)},
          {"findings", std::move(items)}};
}

std::string sentenceOf(const Finding& one) {
  return printable(one.subject.empty() ? one.text : one.subject + ": " + one.text);
}

// For people: what is wrong, each with its fix below; then the rest.
void printAligned(const Findings& findings, bool all, std::ostream& out) {
  std::vector<const Finding*> ordered;
  for (const Finding& one : findings.all()) {
    if (all || one.severity != Severity::Ok) ordered.push_back(&one);
  }
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const Finding* a, const Finding* b) { return a->severity > b->severity; });
  for (const Finding* one : ordered) {
    out << fmt::format("{:<8}{:<14}{}\n", toString(one->severity), one->check, sentenceOf(*one));
    if (!one->fix.empty()) out << fmt::format("{:<22}-> {}\n", "", printable(one->fix));
  }
  out << fmt::format("{} errors, {} warnings, {} notes, {} ok{}\n", findings.count(Severity::Error),
                     findings.count(Severity::Warning), findings.count(Severity::Note),
                     findings.count(Severity::Ok), all ? "" : " (--all shows these, too)");
}

void print(const Findings& findings, const DoctorArguments& arguments, std::ostream& out) {
  if (arguments.admin.json) {
    out << toJson(findings).dump(2, ' ', false, ordered_json::error_handler_t::replace) << '\n';
    return;
  }
  if (isTerminal(out)) return printAligned(findings, arguments.all, out);
  Table table({"LEVEL", "CHECK", "SUBJECT", "FINDING", "FIX"});
  for (const Finding& one : findings.all()) {
    table.add({std::string(toString(one.severity)), one.check, one.subject, one.text, one.fix});
  }
  table.print(out, false);
}

void examine(CliContext& context, const DoctorArguments& arguments) {
  const auto options = readArguments(arguments);
  if (!options) {
    context.err << "sluice: " << printable(options.error().detail) << '\n';
    context.exit_code = kExitUsage;
    return;
  }
  const LoadedConfig loaded = context.loadConfig();
  Findings findings;
  examineRelay(loaded, context, arguments, findings);
  if (const auto done = examineAll(loaded, *options, findings); !done) {
    findings.error("doctor", "", "cannot examine the network: " + done.error().detail,
                   "is there memory, and are there file descriptors?");
  }
  print(findings, arguments, context.out);
  const bool bad = findings.count(Severity::Error) > 0 ||
                   (arguments.strict && findings.count(Severity::Warning) > 0);
  context.exit_code = bad ? kExitFailed : kExitOk;
}

}  // namespace

void addDoctorCommand(CLI::App& app, CliContext& context) {
  CLI::App* command =
      app.add_subcommand("doctor", "Find out what keeps mail from flowing, and what mends it");
  command->footer(
      "Looks at the configuration, this machine, DNS, our addresses, the domains that mail is "
      "from,\n"
      "destinations and smart hosts. Changes nothing and sends no mail. Works whether the relay "
      "runs\n"
      "or not; run it as the relay's user or as root.\n"
      "Exit codes: 0 no errors, 1 errors (with --strict also warnings), 2 wrong usage.\n"
      "Example: sluice doctor --from example.com gmail.com outlook.com");
  const auto arguments = std::make_shared<DoctorArguments>();
  command->add_option("DESTINATION", arguments->destinations,
                      "Domains that mail goes to; else, where it goes by MX, two well-known ones");
  command
      ->add_option("--from", arguments->from,
                   "Domain of the From field; else those of the [[dkim]] sections")
      ->allow_extra_args(false)
      ->type_name("DOMAIN");
  command
      ->add_option("--address", arguments->addresses,
                   "Address that the world sees mail come from, where that is translated")
      ->allow_extra_args(false)
      ->type_name("IP");
  command->add_option("--timeout", arguments->timeout, "For each question and each reply")
      ->type_name("DURATION")
      ->capture_default_str();
  command->add_flag("--offline", arguments->offline, "Look at this machine only");
  command->add_flag("--strict", arguments->strict, "Warnings count as errors for the exit code");
  command->add_flag("--all", arguments->all, "On a terminal, show what is as it should be, too");
  addAdminOptions(*command, context, arguments->admin);
  command->callback([&context, arguments] { examine(context, *arguments); });
}

}  // namespace sluice::relay
