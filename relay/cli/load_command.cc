// sluice load: a load generator, and the comparison of what it sent with what a sink got.
#include <fmt/format.h>
#include <unistd.h>

#include <memory>
#include <ostream>
#include <thread>

#include "relay/cli/commands.h"
#include "relay/cli/load_client.h"
#include "relay/config/units.h"

namespace sluice::relay {
namespace {

constexpr const char* kFooter =
    "Closed loop unless --rate is given: each connection sends its next message when the last is\n"
    "answered. With --rate messages are due at their times, and latency counts from then.\n"
    "Exit codes: 0 all accepted (with --compare or --check: none lost, none that should not be),\n"
    "1 otherwise.\n"
    "Examples: sluice load --to 127.0.0.1:2525 --messages 10000 --connections 20\n"
    "          sluice load --to 127.0.0.1:2525 --rate 500 --duration 60s --ledger l --compare ids\n"
    "          sluice load --check ledger ids";

struct Options {
  std::string to = "127.0.0.1:2525";
  uint64_t messages = 0;
  std::string duration, size = "4KiB", give_up = "60s", compare_wait = "30s";
  bool no_retry = false, json = false;
  std::vector<std::string> compare;
  std::vector<std::string> check;
  LoadOptions load;
};

std::string newRun() {
  const auto now = Clock::system().wall().time_since_epoch().count();
  return fmt::format("{:x}-{:x}", now, getpid());
}

Result<LoadOptions> resolve(Options options) {
  LoadOptions& load = options.load;
  ASSIGN_OR_RETURN(load.to, resolveEndpoint(options.to));
  if (!options.duration.empty()) {
    ASSIGN_OR_RETURN(load.duration, parseDuration(options.duration));
  }
  ASSIGN_OR_RETURN(load.give_up, parseDuration(options.give_up));
  ASSIGN_OR_RETURN(load.message.size, parseSize(options.size));
  const bool endless = options.messages == 0 && load.duration.count() > 0;
  load.messages = options.messages == 0 && !endless ? 1000 : options.messages;
  load.retry = !options.no_retry;
  if (load.message.run.empty()) load.message.run = newRun();
  if (!options.compare.empty() && load.ledger.empty()) {
    return fail(Errc::InvalidArgument, "--compare needs --ledger");
  }
  return std::move(load);
}

void printSummary(const LoadSummary& summary, const std::string& run, std::ostream& out) {
  const double rate =
      summary.seconds > 0 ? static_cast<double>(summary.accepted) / summary.seconds : 0;
  out << fmt::format("run          {}\n", run)
      << fmt::format("accepted     {} in {:.2f} s, {:.0f} messages/s\n", summary.accepted,
                     summary.seconds, rate)
      << fmt::format("refused      {}, for the moment {}\n", summary.refused,
                     summary.temporary_refusals)
      << fmt::format("unknown      {}\n", summary.unknown)
      << fmt::format("unsent       {}\n", summary.unsent)
      << fmt::format("latency      {}\n", summary.latency.toLine())
      << fmt::format("dot to reply {}\n", summary.commit.toLine())
      << fmt::format("connections  {}, {} broken or refused\n", summary.connections,
                     summary.connection_errors);
  if (summary.connection_errors > 0) out << "last error   " << summary.last_error << '\n';
}

void printCheck(const LoadCheck& check, std::ostream& out) {
  out << fmt::format("delivered    {} of {} accepted\n", check.delivered, check.accepted)
      << fmt::format("reported     {} (not delivered, and the sender was told)\n", check.reported)
      << fmt::format("lost         {}\n", check.lost)
      << fmt::format("duplicates   {}\n", check.duplicates)
      << fmt::format("ghosts       {} (delivered although never accepted)\n", check.ghosts)
      << fmt::format("unknown      {}, {} of them delivered\n", check.unknown,
                     check.unknown_delivered);
  const auto examples = [&](std::string_view name, const std::vector<std::string>& keys) {
    for (const std::string& key : keys) out << "  " << name << ": " << key << '\n';
  };
  examples("lost", check.lost_examples);
  examples("duplicate", check.duplicate_examples);
  examples("ghost", check.ghost_examples);
}

int reportCheck(CliContext& context, const Result<LoadCheck>& check, bool json) {
  if (!check) {
    context.err << "sluice load: " << check.error().detail << '\n';
    return kExitFailed;
  }
  if (json) {
    context.out << check->toJson().dump() << std::endl;
  } else {
    printCheck(*check, context.out);
  }
  return check->good() ? kExitOk : kExitFailed;
}

int report(CliContext& context, const Options& options, const std::string& run,
           const LoadSummary& summary, const std::optional<Result<LoadCheck>>& checked) {
  const int accepted = summary.allAccepted() ? kExitOk : kExitFailed;
  if (!options.json) {
    printSummary(summary, run, context.out);
    return checked ? std::max(accepted, reportCheck(context, *checked, false)) : accepted;
  }
  nlohmann::json json = summary.toJson();
  json["run"] = run;
  if (checked && *checked) json["check"] = (*checked)->toJson();
  context.out << json.dump() << std::endl;
  if (checked && !*checked) context.err << "sluice load: " << checked->error().detail << '\n';
  return checked && !(*checked && (*checked)->good()) ? kExitFailed : accepted;
}

// Waits until the journal has all that was accepted, or `longest` is over.
Result<LoadCheck> compare(const Options& options, std::chrono::milliseconds longest) {
  const auto until = std::chrono::steady_clock::now() + longest;
  while (true) {
    auto check = checkDeliveries({options.load.ledger}, options.compare);
    if (!check || check->lost == 0 || std::chrono::steady_clock::now() >= until) return check;
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}

int runLoad(CliContext& context, const Options& options) {
  if (!options.check.empty()) {
    const std::vector<std::string> journals(options.check.begin() + 1, options.check.end());
    return reportCheck(context, checkDeliveries({options.check.front()}, journals), options.json);
  }
  auto resolved = resolve(options);
  const auto wait = parseDuration(options.compare_wait);
  if (!resolved || !wait) {
    context.err << "sluice load: " << (resolved ? wait.error() : resolved.error()).detail << '\n';
    return kExitUsage;
  }
  raiseFileLimit();
  const std::string run = resolved->message.run;
  auto client = LoadClient::create(std::move(*resolved));
  if (!client) {
    context.err << "sluice load: " << client.error().detail << '\n';
    return client.error().code == Errc::InvalidArgument ? kExitUsage : kExitFailed;
  }
  if (const auto ended = (*client)->run(true); !ended) {
    context.err << "sluice load: " << ended.error().detail << '\n';
    return kExitFailed;
  }
  std::optional<Result<LoadCheck>> checked;
  if (!options.compare.empty()) checked = compare(options, *wait);
  return report(context, options, run, (*client)->summary(), checked);
}

void addMessageOptions(CLI::App& command, Options& options) {
  LoadMessageOptions& message = options.load.message;
  command.add_option("--size", options.size, "Of a message")->capture_default_str();
  command.add_option("--recipients", message.recipients, "Of a message")->capture_default_str();
  command.add_option("--domains", message.domains, "Recipient domains")->capture_default_str();
  command.add_flag("--spread", message.spread,
                   "A message's recipients over the domains; else each message has one domain");
  command
      .add_option("--recipient-domain", message.domain,
                  "The recipients' domain; with several --domains, d0.DOMAIN, d1.DOMAIN, ...")
      ->capture_default_str();
  command.add_option("--sender", message.sender, "Reverse-path; '' for <>")->capture_default_str();
  command.add_option("--run", message.run, "Names the run in X-Sluice-Load-Id; else a new name");
  command.add_option("--first", options.load.first, "Number of the first message")
      ->capture_default_str();
}

void addPaceOptions(CLI::App& command, Options& options) {
  LoadOptions& load = options.load;
  command.add_option("--messages,-n", options.messages,
                     "How many; 1000 if neither this nor --duration is given");
  command.add_option("--duration", options.duration, "How long: 30s, 5m")->type_name("TIME");
  command.add_option("--connections,-c", load.connections, "At once")->capture_default_str();
  command.add_option("--rate", load.rate, "Messages a second, open loop; 0: closed loop");
  command.add_option("--messages-per-connection", load.messages_per_connection,
                     "Then QUIT and a new one; 0: no limit");
  command
      .add_flag("--pipeline,!--no-pipeline", load.session.pipelining,
                "MAIL, RCPT and DATA in one group, if offered")
      ->capture_default_str();
  command.add_flag("--chunking", load.session.chunking, "BDAT instead of DATA, if offered");
  command.add_flag("--no-retry", options.no_retry, "Do not repeat what is refused with 4xx");
  command.add_option("--give-up", options.give_up, "Without any progress")->capture_default_str();
}

void addReportOptions(CLI::App& command, Options& options) {
  command
      .add_option("--ledger", options.load.ledger,
                  "Write what became of each recipient: A accepted, U unknown, R refused")
      ->type_name("FILE");
  command.add_option("--compare", options.compare, "Afterwards, with the --ids journals of sinks")
      ->type_name("FILE");
  command
      .add_option("--compare-wait", options.compare_wait, "How long deliveries may take for that")
      ->capture_default_str();
  command.add_option("--check", options.check, "Send nothing: compare a ledger with journals")
      ->type_name("LEDGER IDS...")
      ->expected(2, 1000);
  command.add_flag("--json", options.json, "Print JSON");
}

}  // namespace

void addLoadCommand(CLI::App& app, CliContext& context) {
  CLI::App* command = app.add_subcommand("load", "A load generator, with a loss report");
  command->footer(kFooter);
  const auto options = std::make_shared<Options>();
  command->add_option("--to,-t", options->to, "The relay")
      ->type_name("HOST:PORT")
      ->capture_default_str();
  addPaceOptions(*command, *options);
  addMessageOptions(*command, *options);
  addReportOptions(*command, *options);
  command->callback([&context, options] { context.exit_code = runLoad(context, *options); });
}

}  // namespace sluice::relay
