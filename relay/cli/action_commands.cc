// sluice retry, hold, release, bounce, discard, expire, redirect: act on messages by id or by
// filter.
#include <pwd.h>
#include <unistd.h>

#include <memory>
#include <ostream>

#include "relay/cli/admin_commands.h"
#include "relay/cli/admin_options.h"

namespace sluice::relay {
namespace {

using nlohmann::ordered_json;

struct ActionCommand {
  const char* name;
  const char* what;
  const char* example;
  bool may_mean_all;  // without ids, filters and --all
};

constexpr ActionCommand kActions[] = {
    {"retry", "Try deferred messages now", "Example: sluice retry --destination example.com", true},
    {"hold", "Keep messages from being tried until they are released",
     "Example: sluice hold --sender newsletter@example.com", false},
    {"release", "Let held messages go again", "Example: sluice release --all", true},
    {"bounce", "End messages with a failure notice to their senders",
     "Example: sluice bounce --destination gone.example --older-than 2d", false},
    {"discard", "End messages without a notice",
     "Example: sluice discard 06a1b2c3d4e5f6g7h8j9k0m1n2", false},
    {"expire", "End messages as if their lifetime were over, with a notice that says so",
     "Example: sluice expire --mx '*.gone.example' --attempts 10 --dry-run", false},
    {"redirect", "Send messages by another send connector, whatever the routes say",
     "Held messages are released. Another redirect, or the connector's removal from the\n"
     "configuration, undoes it.\n"
     "Example: sluice redirect --connector backup --reply '4\\.7\\.1' --destination example.com",
     false},
};

struct ActionOptions {
  AdminOptions admin;
  MessageFilterOptions filters;
  std::vector<std::string> ids;
  bool all = false;
  bool dry_run = false;
  std::string connector;  // to redirect to
};

// For the relay's log; nobody is kept from saying something else.
std::string whoAsks() {
  const passwd* entry = ::getpwuid(::getuid());
  return entry != nullptr ? entry->pw_name : std::to_string(::getuid());
}

ordered_json requestOf(const ActionOptions& options) {
  ordered_json request = ordered_json::object();
  if (!options.ids.empty()) request["ids"] = options.ids;
  for (const auto& [name, value] : options.filters.values) {
    if (!value.empty()) request[name] = value;
  }
  if (options.filters.limit != 0) request["limit"] = options.filters.limit;
  if (options.all) request["all"] = true;
  if (options.dry_run) request["dry_run"] = true;
  if (!options.connector.empty()) request["connector"] = options.connector;
  request["by"] = whoAsks();
  return request;
}

// What is wrong with the choice of messages; empty if nothing is.
std::string mistakeIn(const ActionCommand& action, const ActionOptions& options) {
  const int ways =
      (options.ids.empty() ? 0 : 1) + (options.filters.any() ? 1 : 0) + (options.all ? 1 : 0);
  if (ways > 1) return "ids, filters or --all: only one of them";
  if (ways == 0 && !action.may_mean_all) {
    return std::string(action.name) + " what? Give ids or filters, or --all";
  }
  return "";
}

void act(CliContext& context, const ActionCommand& action, const ActionOptions& options) {
  if (const std::string mistake = mistakeIn(action, options); !mistake.empty()) {
    context.err << "sluice: " << mistake << '\n';
    context.exit_code = kExitUsage;
    return;
  }
  AdminSession session(context, options.admin);
  const auto done =
      session.post(std::string("/api/v1/messages/") + action.name, requestOf(options));
  if (!done) return;
  const uint64_t matched = memberCount(*done, "matched");
  if (options.admin.json) {
    context.out << done->dump() << '\n';
  } else if (options.dry_run) {
    context.out << action.name << ": would be tried on " << matched << " messages\n";
  } else {
    context.out << action.name << ": " << memberCount(*done, "changed") << " of " << matched
                << " messages\n";
  }
  if (!options.ids.empty() && matched == 0) session.tell("no such message in the queue");
}

}  // namespace

void addActionCommands(CLI::App& app, CliContext& context) {
  for (const ActionCommand& action : kActions) {
    CLI::App* command = app.add_subcommand(action.name, action.what);
    command->footer(action.example);
    const auto options = std::make_shared<ActionOptions>();
    command->add_option("ID", options->ids, "Ids of messages");
    addFilterOptions(*command, options->filters);
    command->add_flag("--all", options->all, "Every message in the queue");
    command->add_flag("--dry-run", options->dry_run, "Change nothing; say how many are meant");
    if (std::string_view(action.name) == "redirect") {
      command->add_option("--connector", options->connector, "Send connector to leave by")
          ->required()
          ->type_name("NAME");
    }
    addAdminOptions(*command, context, options->admin);
    command->callback([&context, &action, options] { act(context, action, *options); });
  }
}

}  // namespace sluice::relay
