// sluice status, reload: the relay as a whole.
#include <memory>
#include <ostream>

#include "relay/cli/admin_commands.h"
#include "relay/cli/admin_options.h"
#include "relay/cli/table.h"

namespace sluice::relay {
namespace {

using nlohmann::ordered_json;

// "3 clients and 2 connections to destinations are left, for 24 s at most"
void printDrain(std::ostream& out, const ordered_json& status) {
  const auto connections = status.find("connections");
  if (connections == status.end() || !connections->is_object()) return;
  out << memberText(*connections, "in") << " clients and " << memberText(*connections, "out")
      << " connections to destinations are left";
  out << ", for " << memberText(status, "drain_left") << " s at most\n";
}

void printStatus(const CliContext& context, const ordered_json& status) {
  const bool ready = memberFlag(status, "ready");
  const bool draining = memberFlag(status, "draining");
  std::ostream& out = context.out;
  out << "sluice " << printable(memberText(status, "version")) << " on "
      << printable(memberText(status, "hostname")) << ": "
      << (ready      ? "ready"
          : draining ? "shutting down"
                     : "not ready");
  if (!ready) out << ", " << printable(memberText(status, "why_not_ready"));
  out << '\n';
  if (draining) printDrain(out, status);
  out << "up " << shortDuration(std::chrono::seconds(memberCount(status, "uptime"))) << ", "
      << memberText(status, "shards") << " shards\n";
  const auto store = status.find("store");
  const bool counted = store != status.end() && store->is_object() && memberFlag(*store, "counted");
  out << memberText(status, "messages") << " messages in the queue";
  if (const std::string oldest = memberAge(status, "oldest"); !oldest.empty()) {
    out << ", the oldest " << oldest << " old";
  }
  const auto found = status.find("recipients");
  const bool known = found != status.end() && found->is_object();
  const ordered_json recipients = known ? *found : ordered_json::object();
  out << "\nrecipients: ";
  bool first = true;
  for (const char* state : {"ready", "active", "deferred", "held"}) {
    out << (first ? "" : ", ") << memberText(recipients, state) << ' ' << state;
    first = false;
  }
  out << (counted ? "\n"
                  : "\nstill counting what was queued before the start: there may be more\n");
}

void showStatus(CliContext& context, const AdminOptions& options) {
  AdminSession session(context, options);
  const auto status = session.get("/api/v1/status");
  if (!status) return;
  if (options.json) {
    context.out << status->dump() << '\n';
  } else {
    printStatus(context, *status);
  }
  context.exit_code = memberFlag(*status, "ready") ? kExitOk : kExitFailed;
}

}  // namespace

void addStatusCommands(CLI::App& app, CliContext& context) {
  CLI::App* status = app.add_subcommand("status", "Is the relay well? Exit code 0 if it is ready");
  status->footer("Example: sluice status --admin http://127.0.0.1:8025");
  const auto options = std::make_shared<AdminOptions>();
  addAdminOptions(*status, context, *options);
  status->callback([&context, options] { showStatus(context, *options); });

  CLI::App* reload = app.add_subcommand("reload", "Read the configuration again");
  reload->footer(
      "Every mistake is printed, and the relay keeps the configuration that it has.\n"
      "Example: sluice reload");
  const auto reload_options = std::make_shared<AdminOptions>();
  addAdminOptions(*reload, context, *reload_options);
  reload->callback([&context, reload_options] {
    AdminSession session(context, *reload_options);
    const auto done = session.post("/api/v1/reload", ordered_json::object());
    if (!done) return;
    context.out << (reload_options->json ? done->dump() : std::string("reloaded")) << '\n';
  });
}

}  // namespace sluice::relay
