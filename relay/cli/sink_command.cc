// sluice sink: a test destination that accepts mail, counts it, and answers by script.
#include <memory>
#include <ostream>

#include "relay/cli/commands.h"
#include "relay/cli/sink_server.h"
#include "relay/config/units.h"

namespace sluice::relay {
namespace {

constexpr const char* kFooter =
    "A rule is GLOB,STAGE,ACTION[,PERCENT[,DELAY_MS[,TEXT]]]. GLOB fits a recipient or its domain\n"
    "(at mail: the sender; at connect: the client's address; at ehlo: the name it gave). STAGE is\n"
    "connect, ehlo, mail, rcpt, data, content, eod or quit; ACTION a reply code, hang, close, "
    "reset.\n"
    "On SIGTERM or SIGINT the counts are printed as one JSON object on standard output.\n"
    "Examples: sluice sink --listen 127.0.0.1:2600 --maildir /tmp/mail --verbose\n"
    "          sluice sink --rule '*.slow.test,eod,250,100,500' --rule 'd3.*,rcpt,451,20'";

struct Options {
  std::vector<std::string> listen{"127.0.0.1:2526"};
  std::vector<std::string> without, rules, hang, close, reset;
  std::string delay, banner_delay, max_size = "100MiB";
  SinkServerOptions server;
};

Result<void> leaveOut(const std::string& keyword, SinkExtensions& extensions) {
  const std::pair<std::string_view, bool*> known[] = {
      {"PIPELINING", &extensions.pipelining},
      {"8BITMIME", &extensions.eight_bit_mime},
      {"SMTPUTF8", &extensions.smtputf8},
      {"DSN", &extensions.dsn},
      {"SIZE", &extensions.size},
      {"CHUNKING", &extensions.chunking},
      {"ENHANCEDSTATUSCODES", &extensions.enhanced_status_codes}};
  for (const auto& [name, offered] : known) {
    if (name == keyword) {
      *offered = false;
      return {};
    }
  }
  return fail(Errc::InvalidArgument, "--without: '" + keyword + "' is not offered anyway");
}

Result<void> addStageRules(const std::vector<std::string>& stages, SinkRule::Action action,
                           std::vector<SinkRule>& rules) {
  for (const std::string& name : stages) {
    ASSIGN_OR_RETURN(const SinkStage stage, parseSinkStage(name));
    rules.push_back({.glob = "*", .stage = stage, .action = action});
  }
  return {};
}

// "250" is milliseconds, as in a rule; "2s" a duration.
Result<std::chrono::milliseconds> readDelay(const std::string& text) {
  if (text.empty()) return std::chrono::milliseconds{};
  const bool bare = text.find_first_not_of("0123456789") == std::string::npos;
  return parseDuration(bare ? text + "ms" : text);
}

Result<SinkServerOptions> resolve(Options options) {
  SinkServerOptions& server = options.server;
  for (const std::string& text : options.listen) {
    ASSIGN_OR_RETURN(const Endpoint at, resolveEndpoint(text));
    server.listen.push_back(at);
  }
  for (const std::string& keyword : options.without) {
    RETURN_IF_ERROR(leaveOut(keyword, server.session.extensions));
  }
  for (const std::string& text : options.rules) {
    ASSIGN_OR_RETURN(SinkRule rule, parseSinkRule(text));
    server.rules.push_back(std::move(rule));
  }
  RETURN_IF_ERROR(addStageRules(options.hang, SinkRule::Action::Hang, server.rules));
  RETURN_IF_ERROR(addStageRules(options.close, SinkRule::Action::Close, server.rules));
  RETURN_IF_ERROR(addStageRules(options.reset, SinkRule::Action::Reset, server.rules));
  ASSIGN_OR_RETURN(server.session.eod_delay, readDelay(options.delay));
  ASSIGN_OR_RETURN(server.session.greeting_delay, readDelay(options.banner_delay));
  ASSIGN_OR_RETURN(server.session.max_message_bytes, parseSize(options.max_size));
  return std::move(server);
}

int runSink(CliContext& context, const Options& options) {
  auto resolved = resolve(options);
  if (!resolved) {
    context.err << "sluice sink: " << resolved.error().detail << '\n';
    return kExitUsage;
  }
  raiseFileLimit();
  auto server = SinkServer::create(std::move(*resolved), context.out);
  if (!server) {
    context.err << "sluice sink: " << server.error().detail << '\n';
    return kExitFailed;
  }
  for (const Endpoint& at : (*server)->listening()) {
    context.err << "sluice sink: listening on " << at.toString() << std::endl;
  }
  const auto ended = (*server)->run(true);
  context.out << (*server)->tally().toJson().dump() << std::endl;
  if (ended) return kExitOk;
  context.err << "sluice sink: " << ended.error().detail << '\n';
  return kExitFailed;
}

void addScriptOptions(CLI::App& command, Options& options) {
  command.add_option("--rule", options.rules, "Answer by rule; the first that fits acts")
      ->type_name("RULE")
      ->allow_extra_args(false);
  command.add_option("--hang", options.hang, "Say nothing more at this stage")->type_name("STAGE");
  command.add_option("--close", options.close, "Close the connection at this stage")
      ->type_name("STAGE");
  command.add_option("--reset", options.reset, "Reset the connection at this stage")
      ->type_name("STAGE");
  command.add_option("--delay", options.delay, "Before the reply to each content: 250, 250ms, 2s")
      ->type_name("TIME");
  command.add_option("--banner-delay", options.banner_delay, "Before the greeting")
      ->type_name("TIME");
  command.add_option("--seed", options.server.seed, "Of the rules' percentages")
      ->capture_default_str();
}

void addSessionOptions(CLI::App& command, Options& options) {
  SinkSessionOptions& session = options.server.session;
  command.add_option("--hostname", session.hostname, "In the greeting and EHLO's reply")
      ->capture_default_str();
  command
      .add_option("--without", options.without,
                  "Extensions not to offer: CHUNKING,PIPELINING,8BITMIME,SMTPUTF8,DSN,SIZE")
      ->delimiter(',')
      ->type_name("KEYWORD,...");
  command.add_flag("--helo-only", session.helo_only, "Refuse EHLO with 502");
  command.add_option("--max-size", options.max_size, "Largest content")->capture_default_str();
  command.add_option("--max-recipients", session.max_recipients,
                     "Recipients of a transaction, then 452; 0: no limit");
  command.add_option("--per-connection", session.messages_per_connection,
                     "Messages of a connection, then 421; 0: no limit");
}

void addRecordOptions(CLI::App& command, Options& options) {
  SinkRecorderOptions& recorder = options.server.recorder;
  command
      .add_option("--maildir", recorder.maildir, "Write each message as .eml, with .json beside")
      ->type_name("DIR");
  command.add_option("--ids", recorder.ids_file, "Append a line 'ID RECIPIENT' a recipient")
      ->type_name("FILE");
  command
      .add_option("--stats", options.server.stats_file, "Write the counts every second, as JSON")
      ->type_name("FILE");
  command.add_flag("--verbose,-v", recorder.verbose, "A JSON line a message on standard output");
}

}  // namespace

void addSinkCommand(CLI::App& app, CliContext& context) {
  CLI::App* command =
      app.add_subcommand("sink", "A test destination: accepts mail, counts, answers by script");
  command->footer(kFooter);
  const auto options = std::make_shared<Options>();
  command->add_option("--listen,-l", options->listen, "Addresses to listen on")
      ->delimiter(',')
      ->type_name("ADDRESS:PORT")
      ->capture_default_str();
  addSessionOptions(*command, *options);
  addScriptOptions(*command, *options);
  addRecordOptions(*command, *options);
  command->callback([&context, options] { context.exit_code = runSink(context, *options); });
}

}  // namespace sluice::relay
