// sluice queue, suspend, resume: destinations and their queues; and all that goes with them.
#include <algorithm>
#include <memory>
#include <ostream>

#include "net/http/url.h"
#include "relay/cli/admin_commands.h"
#include "relay/cli/admin_options.h"
#include "relay/cli/commands.h"
#include "relay/cli/table.h"

namespace sluice::relay {
namespace {

using nlohmann::ordered_json;

constexpr const char* kQueues = "/api/v1/queues";

uint64_t recipientsOf(const ordered_json& queue) {
  uint64_t sum = 0;
  for (const char* name : {"ready", "active", "deferred", "held"}) {
    sum += memberCount(queue, name);
  }
  return sum;
}

// The fullest first.
void printQueues(const CliContext& context, const ordered_json& items) {
  std::vector<const ordered_json*> order;
  for (const ordered_json& item : items) order.push_back(&item);
  std::stable_sort(order.begin(), order.end(), [](const ordered_json* a, const ordered_json* b) {
    return recipientsOf(*a) > recipientsOf(*b);
  });
  Table table({"DESTINATION", "CONNECTOR", "STATE", "READY", "ACTIVE", "DEFERRED", "HELD", "OLDEST",
               "CONNECTIONS", "NEXT", "LAST REPLY"});
  for (const ordered_json* queue : order) {
    const std::string reply = memberText(*queue, "last_reply");
    table.add({memberText(*queue, "destination"), memberText(*queue, "connector"),
               memberText(*queue, "state"), memberText(*queue, "ready"),
               memberText(*queue, "active"), memberText(*queue, "deferred"),
               memberText(*queue, "held"), memberAge(*queue, "oldest"),
               memberText(*queue, "connections"), memberUntil(*queue, "next_attempt"),
               reply.empty() ? whyText(*queue) : reply});
  }
  table.print(context.out, isTerminal(context.out));
}

void showQueues(CliContext& context, const AdminOptions& options, const std::string& destination) {
  AdminSession session(context, options);
  std::optional<ordered_json> list;
  if (destination.empty()) {
    list = session.getList(kQueues, "", SIZE_MAX, 10'000);
  } else if (const auto one =
                 session.get(std::string(kQueues) + "/" + net::percentEncode(destination))) {
    list = ordered_json{{"items", ordered_json::array({*one})}, {"next", nullptr}};
  }
  if (!list) return;
  if (options.json) {
    context.out << list->dump() << '\n';
  } else {
    printQueues(context, (*list)["items"]);
  }
}

void addQueueCommand(CLI::App& app, CliContext& context) {
  CLI::App* command = app.add_subcommand("queue", "Destinations and what waits for them");
  command->footer("Example: sluice queue --destination example.com");
  const auto options = std::make_shared<AdminOptions>();
  const auto destination = std::make_shared<std::string>();
  command->add_option("--destination", *destination, "Only this destination");
  addAdminOptions(*command, context, *options);
  command->callback(
      [&context, options, destination] { showQueues(context, *options, *destination); });
}

void addSwitchCommand(CLI::App& app, CliContext& context, const std::string& name,
                      const char* what) {
  CLI::App* command = app.add_subcommand(name, what);
  command->footer("Example: sluice " + name + " example.com");
  const auto options = std::make_shared<AdminOptions>();
  const auto destination = std::make_shared<std::string>();
  command->add_option("DESTINATION", *destination, "As `sluice queue` names it")->required();
  addAdminOptions(*command, context, *options);
  command->callback([&context, options, destination, name] {
    AdminSession session(context, *options);
    const auto done =
        session.post(std::string(kQueues) + "/" + net::percentEncode(*destination) + "/" + name,
                     ordered_json::object());
    if (!done) return;
    if (options->json) {
      context.out << done->dump() << '\n';
    } else {
      const bool changed = memberCount(*done, "changed") > 0;
      context.out << printable(*destination) << ": " << (changed ? "" : "already ")
                  << (name == "suspend" ? "suspended" : "resumed") << '\n';
    }
  });
}

}  // namespace

void addQueueCommands(CLI::App& app, CliContext& context) {
  addQueueCommand(app, context);
  addMessageCommand(app, context);
  addActionCommands(app, context);
  addSwitchCommand(app, context, "suspend", "Stop delivery to one destination");
  addSwitchCommand(app, context, "resume", "Start delivery to a suspended destination again");
  addTrackCommand(app, context);
  addExplainCommand(app, context);
  addStatusCommands(app, context);
}

}  // namespace sluice::relay
