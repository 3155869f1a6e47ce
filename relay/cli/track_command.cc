// sluice track: what became of a message, also of one that has left.
#include <memory>
#include <ostream>

#include "net/http/url.h"
#include "queue/message_id.h"
#include "relay/cli/admin_commands.h"
#include "relay/cli/admin_options.h"
#include "relay/cli/table.h"

namespace sluice::relay {
namespace {

using nlohmann::ordered_json;

constexpr const char* kTracking = "/api/v1/tracking";
constexpr size_t kDefaultLimit = 100;
constexpr size_t kPage = 1000;

struct TrackOptions {
  AdminOptions admin;
  std::string what, since, until;
  size_t limit = kDefaultLimit;
};

std::string queryOf(const TrackOptions& options) {
  std::string query = "any=" + net::percentEncode(options.what);
  if (!options.since.empty()) query += "&since=" + net::percentEncode(options.since);
  if (!options.until.empty()) query += "&until=" + net::percentEncode(options.until);
  return query;
}

const ordered_json& listOf(const ordered_json& object, const char* name) {
  static const ordered_json kNone = ordered_json::array();
  const auto found = object.find(name);
  return found != object.end() && found->is_array() ? *found : kNone;
}

// "b@example.net +2"
std::string summary(const ordered_json& names) {
  if (names.empty()) return "";
  const ordered_json& first = names[0];
  std::string text;
  if (first.is_object()) text = memberText(first, "recipient");
  if (first.is_string()) text = first.get<std::string>();
  if (names.size() > 1) text += " +" + std::to_string(names.size() - 1);
  return text;
}

// "451 4.7.1 greylisted"
std::string replyOf(const ordered_json& event) {
  std::string text;
  for (const char* name : {"code", "status", "reply"}) {
    const std::string part = memberText(event, name);
    if (!part.empty()) text += (text.empty() ? "" : " ") + part;
  }
  return text;
}

// "mx.example.net [192.0.2.1]:25"
std::string placeOf(const ordered_json& event) {
  const std::string host = memberText(event, "mx"), address = memberText(event, "address");
  return host.empty() || address.empty() ? host + address : host + " " + address;
}

// Since acceptance, or how long an attempt took: "0.213s" while that says more than whole seconds.
std::string secondsText(const ordered_json& event, const char* name) {
  const auto found = event.find(name);
  if (found == event.end() || !found->is_number()) return "";
  const double seconds = found->get<double>();
  if (seconds >= 100) return shortDuration(std::chrono::seconds(static_cast<int64_t>(seconds)));
  char text[32];
  std::snprintf(text, sizeof text, "%.3fs", seconds);
  return text;
}

void printEvents(const CliContext& context, const ordered_json& events) {
  Table table({"TIME", "AFTER", "EVENT", "RECIPIENT", "CONNECTOR", "HOST", "TLS", "TOOK", "ATTEMPT",
               "NEXT ATTEMPT", "REPLY"});
  for (const ordered_json& event : events) {
    if (!event.is_object()) continue;
    table.add({memberText(event, "time"), secondsText(event, "delay_s"), memberText(event, "event"),
               summary(listOf(event, "recipients")), memberText(event, "connector"), placeOf(event),
               memberText(event, "tls"), secondsText(event, "duration_s"),
               memberText(event, "attempts"), memberText(event, "next_attempt"), replyOf(event)});
  }
  table.print(context.out, isTerminal(context.out));
}

// Where it stands now: at its end, or waiting, and why.
void printStanding(const CliContext& context, const ordered_json& message) {
  const ordered_json& queued = memberObject(message, "queue");
  if (queued.is_null()) {
    context.out << "state\t" << printable(memberText(message, "state"))
                << (memberText(message, "state") == "queued" ? ", and no more in the queue" : "")
                << '\n';
    return;
  }
  context.out << "state\tin the queue: " << printable(memberText(queued, "state")) << '\n';
  for (const ordered_json& recipient : listOf(queued, "recipients")) {
    const std::string why = recipient.is_object() ? whyText(recipient) : "";
    if (why.empty()) continue;
    context.out << "waits\t" << printable(memberText(recipient, "recipient")) << ": "
                << printable(why) << '\n';
  }
}

void printLife(const CliContext& context, const ordered_json& message) {
  for (const char* name : {"id", "message_id", "sender", "size", "received", "client", "user"}) {
    const std::string value = memberText(message, name);
    if (!value.empty()) context.out << name << '\t' << printable(value) << '\n';
  }
  printStanding(context, message);
  context.out << '\n';
  printEvents(context, listOf(message, "events"));
}

void printMessages(const CliContext& context, const ordered_json& items) {
  Table table({"ID", "RECEIVED", "STATE", "ATTEMPTS", "SENDER", "RECIPIENTS", "LAST REPLY"});
  for (const ordered_json& message : items) {
    const ordered_json& recipients = listOf(message, "recipients");
    table.add({memberText(message, "id"), memberText(message, "received"),
               memberText(message, "state"), memberText(message, "attempts"),
               memberText(message, "sender"), summary(recipients),
               recipients.empty() ? "" : memberText(recipients[0], "last_reply")});
  }
  table.print(context.out, isTerminal(context.out));
}

void trackId(CliContext& context, AdminSession& session, const TrackOptions& options,
             const std::string& id) {
  const auto message = session.get(std::string(kTracking) + "/" + net::percentEncode(id));
  if (!message) return;
  if (options.admin.json) {
    context.out << message->dump() << '\n';
  } else {
    printLife(context, *message);
  }
}

void track(CliContext& context, const TrackOptions& options) {
  AdminSession session(context, options.admin);
  if (queue::MessageId::parse(options.what)) {
    return trackId(context, session, options, options.what);
  }
  const auto list = session.getList(kTracking, queryOf(options), options.limit, kPage);
  if (!list) return;
  if (options.admin.json) {
    context.out << list->dump() << '\n';
    return;
  }
  const ordered_json& items = (*list)["items"];
  const bool more = !(*list)["next"].is_null();
  if (items.empty()) return session.tell("nothing is remembered of " + options.what);
  if (items.size() == 1 && !more)
    return trackId(context, session, options, memberText(items[0], "id"));
  printMessages(context, items);
  if (more) context.err << "There are more: see --limit, --since and --until.\n";
}

}  // namespace

void addTrackCommand(CLI::App& app, CliContext& context) {
  CLI::App* command =
      app.add_subcommand("track", "What became of a message, also of one that has left");
  command->footer(
      "One message is shown with all that happened to it, several as a list, the newest first.\n"
      "Example: sluice track someone@example.com --since 2d");
  const auto options = std::make_shared<TrackOptions>();
  command
      ->add_option("WHAT", options->what,
                   "Id, address of a sender or recipient, recipients' domain, or Message-ID")
      ->required();
  command->add_option("--since", options->since, "Accepted since: 2026-11-24T08:00:00Z, 4h, 2d");
  command->add_option("--until", options->until, "Accepted until: the same");
  command->add_option("--limit", options->limit, "At most so many messages")
      ->check(CLI::Range(size_t{1}, size_t{1'000'000}));
  addAdminOptions(*command, context, options->admin);
  command->callback([&context, options] { track(context, *options); });
}

}  // namespace sluice::relay
