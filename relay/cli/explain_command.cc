// sluice explain: what holds a message or a destination, since when, until when, and what to type.
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

void printWhy(const CliContext& context, const ordered_json& object) {
  const ordered_json& why = memberObject(object, "why");
  if (why.is_null()) return;
  context.out << "  why: " << printable(memberText(why, "text")) << '\n';
  const auto time = [&](const char* name, const std::string& relation) {
    const std::string at = memberText(why, name);
    if (!at.empty()) {
      context.out << "  " << name << ": " << printable(at) << " (" << relation << ")\n";
    }
  };
  time("since", memberAge(why, "since") + " ago");
  time("until", "in " + memberUntil(why, "until"));
  const std::string command = memberText(why, "command");
  if (!command.empty()) context.out << "  to change it: " << printable(command) << '\n';
}

void printQueue(const CliContext& context, const ordered_json& queue) {
  context.out << printable(memberText(queue, "destination")) << ": "
              << printable(memberText(queue, "state")) << "; " << memberCount(queue, "ready")
              << " ready, " << memberCount(queue, "active") << " active, "
              << memberCount(queue, "deferred") << " deferred, " << memberCount(queue, "held")
              << " held";
  const std::string oldest = memberAge(queue, "oldest");
  if (!oldest.empty()) context.out << "; the oldest is " << oldest << " old";
  context.out << '\n';
  if (memberObject(queue, "why").is_null()) context.out << "  Nothing holds its mail.\n";
  printWhy(context, queue);
  const std::string reply = memberText(queue, "last_reply");
  if (!reply.empty()) context.out << "  last reply: " << printable(reply) << '\n';
}

void printMessage(const CliContext& context, const ordered_json& message) {
  context.out << printable(memberText(message, "id")) << " from "
              << printable(memberText(message, "sender")) << ", received "
              << memberAge(message, "received") << " ago\n";
  const auto recipients = message.find("recipients");
  if (recipients == message.end() || !recipients->is_array()) return;
  for (const ordered_json& recipient : *recipients) {
    if (!recipient.is_object()) continue;
    context.out << printable(memberText(recipient, "recipient")) << ": "
                << printable(memberText(recipient, "state")) << ", "
                << memberCount(recipient, "attempts") << " attempts, to "
                << printable(memberText(recipient, "destination")) << '\n';
    if (memberObject(recipient, "why").is_null()) context.out << "  It is on its way now.\n";
    printWhy(context, recipient);
  }
}

// One that is not in the queue may have left it.
void explainMessage(CliContext& context, AdminSession& session, const AdminOptions& options,
                    const std::string& id) {
  bool missing = false;
  auto message = session.find("/api/v1/messages/" + net::percentEncode(id), missing);
  const bool queued = message.has_value();
  if (!queued && missing) message = session.get("/api/v1/tracking/" + net::percentEncode(id));
  if (!message) return;
  if (options.json) {
    context.out << message->dump() << '\n';
  } else if (queued) {
    printMessage(context, *message);
  } else {
    context.out << printable(id)
                << " is not in the queue any more: " << printable(memberText(*message, "state"))
                << ". See: sluice track " << printable(id) << '\n';
  }
}

// The destination that a domain's mail waits for: domains with the same hosts share one.
std::string nameOf(AdminSession& session, const std::string& domain) {
  const auto list =
      session.get("/api/v1/messages?limit=1&destination=" + net::percentEncode(domain));
  if (!list) return "";
  const auto items = list->find("items");
  if (items == list->end() || !items->is_array() || items->empty()) return "";
  const ordered_json& message = (*items)[0];
  const auto recipients = message.is_object() ? message.find("recipients") : message.end();
  if (!message.is_object() || recipients == message.end() || !recipients->is_array()) return "";
  for (const ordered_json& recipient : *recipients) {
    if (recipient.is_object() && memberText(recipient, "recipient").ends_with("@" + domain)) {
      return memberText(recipient, "destination");
    }
  }
  return "";
}

void explainDestination(CliContext& context, AdminSession& session, const AdminOptions& options,
                        const std::string& name) {
  constexpr const char* kQueues = "/api/v1/queues/";
  bool missing = false;
  auto queue = session.find(kQueues + net::percentEncode(name), missing);
  if (missing) {
    const std::string shared = nameOf(session, name);
    if (shared.empty()) return session.tell("no mail waits for " + name);
    queue = session.get(kQueues + net::percentEncode(shared));
  }
  if (!queue) return;
  if (options.json) {
    context.out << queue->dump() << '\n';
  } else {
    printQueue(context, *queue);
  }
}

}  // namespace

void addExplainCommand(CLI::App& app, CliContext& context) {
  CLI::App* command =
      app.add_subcommand("explain", "Why a message or a destination's mail waits, and what to do");
  command->footer("Example: sluice explain gmail.com");
  const auto options = std::make_shared<AdminOptions>();
  const auto what = std::make_shared<std::string>();
  command->add_option("WHAT", *what, "Id of a message, or a destination")->required();
  addAdminOptions(*command, context, *options);
  command->callback([&context, options, what] {
    AdminSession session(context, *options);
    if (queue::MessageId::parse(*what)) {
      explainMessage(context, session, *options, *what);
    } else {
      explainDestination(context, session, *options, *what);
    }
  });
}

}  // namespace sluice::relay
