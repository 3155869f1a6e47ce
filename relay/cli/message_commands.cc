// sluice message list, show, content: what is in the queue.
#include <memory>
#include <ostream>

#include "net/http/url.h"
#include "relay/cli/admin_commands.h"
#include "relay/cli/admin_options.h"
#include "relay/cli/table.h"

namespace sluice::relay {
namespace {

using nlohmann::ordered_json;

constexpr const char* kMessages = "/api/v1/messages";
constexpr size_t kDefaultLimit = 1000;

std::string pathOf(const std::string& id) {
  return std::string(kMessages) + "/" + net::percentEncode(id);
}

std::string queryOf(const MessageFilterOptions& filters) {
  std::string query;
  for (const auto& [name, value] : filters.values) {
    if (value.empty()) continue;
    query += (query.empty() ? "" : "&") + name + "=" + net::percentEncode(value);
  }
  return query;
}

const ordered_json& recipientsOf(const ordered_json& message) {
  static const ordered_json kNone = ordered_json::array();
  const auto found = message.find("recipients");
  return found != message.end() && found->is_array() ? *found : kNone;
}

// "b@example.net +2"
std::string recipientSummary(const ordered_json& recipients) {
  if (recipients.empty()) return "";
  std::string text = memberText(recipients[0], "recipient");
  if (recipients.size() > 1) text += " +" + std::to_string(recipients.size() - 1);
  return text;
}

void printList(const CliContext& context, const ordered_json& items) {
  Table table(
      {"ID", "AGE", "SIZE", "STATE", "ATTEMPTS", "NEXT", "SENDER", "RECIPIENTS", "LAST REPLY"});
  for (const ordered_json& message : items) {
    const ordered_json& recipients = recipientsOf(message);
    table.add({memberText(message, "id"), memberAge(message, "received"),
               memberText(message, "size"), memberText(message, "state"),
               memberText(message, "attempts"), memberUntil(message, "next_attempt"),
               memberText(message, "sender"), recipientSummary(recipients),
               recipients.empty() ? "" : memberText(recipients[0], "last_reply")});
  }
  table.print(context.out, isTerminal(context.out));
}

void listMessages(CliContext& context, const AdminOptions& options,
                  const MessageFilterOptions& filters) {
  AdminSession session(context, options);
  const auto list = session.getList(kMessages, queryOf(filters),
                                    filters.limit == 0 ? kDefaultLimit : filters.limit, 1000);
  if (!list) return;
  if (options.json) {
    context.out << list->dump() << '\n';
    return;
  }
  printList(context, (*list)["items"]);
  if (!(*list)["next"].is_null()) context.err << "There are more: see --limit.\n";
}

void showMessage(CliContext& context, const AdminOptions& options, const std::string& id) {
  AdminSession session(context, options);
  const auto message = session.get(pathOf(id));
  if (!message) return;
  if (options.json) {
    context.out << message->dump() << '\n';
    return;
  }
  const bool terminal = isTerminal(context.out);
  for (const char* name : {"id", "sender", "size", "received", "connector", "client", "state",
                           "attempts", "next_attempt"}) {
    const std::string value = memberText(*message, name);
    context.out << name << (terminal ? std::string(14 - std::string(name).size(), ' ') : "\t")
                << (value.empty() ? "-" : printable(value)) << '\n';
  }
  context.out << '\n';
  Table table({"RECIPIENT", "DESTINATION", "CONNECTOR", "STATE", "ATTEMPTS", "NEXT", "LAST REPLY"});
  for (const ordered_json& recipient : recipientsOf(*message)) {
    table.add({memberText(recipient, "recipient"), memberText(recipient, "destination"),
               memberText(recipient, "connector"), memberText(recipient, "state"),
               memberText(recipient, "attempts"), memberUntil(recipient, "next_attempt"),
               memberText(recipient, "last_reply")});
  }
  table.print(context.out, terminal);
}

// As it is for a program; on a terminal without what could play tricks on it.
void showContent(CliContext& context, const AdminOptions& options, const std::string& id) {
  AdminSession session(context, options);
  const auto content = session.getBytes(pathOf(id) + "/content");
  if (!content) return;
  if (!isTerminal(context.out)) {
    context.out << *content << std::flush;
    return;
  }
  for (const char c : *content) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\r') continue;
    const bool shown = c == '\n' || c == '\t' || (byte >= 0x20 && byte != 0x7f);
    context.out << (shown ? c : '?');
  }
}

using ShowOne = void (*)(CliContext&, const AdminOptions&, const std::string& id);

void addShowCommand(CLI::App& parent, CliContext& context, const char* name, const char* what,
                    const char* example, ShowOne show) {
  CLI::App* command = parent.add_subcommand(name, what);
  command->footer(example);
  const auto options = std::make_shared<AdminOptions>();
  const auto id = std::make_shared<std::string>();
  command->add_option("ID", *id, "Id of the message")->required();
  addAdminOptions(*command, context, *options);
  command->callback([&context, options, id, show] { show(context, *options, *id); });
}

}  // namespace

void addFilterOptions(CLI::App& command, MessageFilterOptions& filters) {
  const auto add = [&](const char* option, const char* name, const char* what) {
    return command.add_option(option, filters.values[name], what);
  };
  add("--destination", "destination", "To this domain or destination");
  add("--mx", "mx", "Last tried at this host; * stands for any part of its name");
  add("--sender", "sender", "From this reverse-path; <> for the null one");
  add("--sender-domain", "sender_domain", "From a reverse-path of this domain");
  add("--recipient", "recipient", "To this address");
  add("--received-by", "received_by", "Accepted by this receive connector");
  add("--state", "state", "ready, active, deferred or held")
      ->check(CLI::IsMember({"ready", "active", "deferred", "held"}));
  add("--older-than", "older_than", "Accepted before so long: 30m, 4h, 2d");
  add("--younger-than", "younger_than", "Accepted since");
  add("--attempts", "attempts", "Tried at least so often");
  add("--reply", "reply", "Whose last reply has this regular expression (RE2, case is ignored)");
  add("--larger-than", "larger_than", "Content larger than: 100KiB, 5MiB");
  add("--smaller-than", "smaller_than", "Content smaller than");
  command.add_option("--limit", filters.limit, "At most so many messages")
      ->check(CLI::Range(size_t{1}, size_t{1'000'000'000}));
}

void addMessageCommand(CLI::App& app, CliContext& context) {
  CLI::App* message = app.add_subcommand("message", "Messages in the queue");
  message->require_subcommand(1);
  message->footer("Example: sluice message list --state deferred --older-than 4h");
  CLI::App* list = message->add_subcommand("list", "List messages, the oldest first");
  list->footer(
      "Lists at most 1000 unless --limit says otherwise.\n"
      "Example: sluice message list --destination example.com --state deferred");
  const auto options = std::make_shared<AdminOptions>();
  const auto filters = std::make_shared<MessageFilterOptions>();
  addFilterOptions(*list, *filters);
  addAdminOptions(*list, context, *options);
  list->callback([&context, options, filters] { listMessages(context, *options, *filters); });
  addShowCommand(*message, context, "show", "One message, with each of its recipients",
                 "Example: sluice message show 06a1b2c3d4e5f6g7h8j9k0m1n2", showMessage);
  addShowCommand(*message, context, "content", "A message as it is stored",
                 "Example: sluice message content 06a1b2c3d4e5f6g7h8j9k0m1n2 > message.eml",
                 showContent);
}

}  // namespace sluice::relay
