// sluice spool: look through the queue of a relay that does not run. `check` verifies every record,
// `export` writes every readable message into a folder. Neither changes the queue.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "relay/cli/commands.h"
#include "relay/cli/spool_export.h"

namespace sluice::relay {
namespace {

struct SpoolOptions {
  std::string data_dir;  // empty: the configuration's
  std::string folder;    // to export to
  bool json = false;
};

// Keeps a relay from starting on a queue that is being looked through. The lock file is the one
// that a running relay holds; where there is none, as in a copy, there is nothing to keep out.
class QueueLock {
 public:
  explicit QueueLock(const std::string& data_dir)
      : fd_(::open((data_dir + "/lock").c_str(), O_RDONLY | O_CLOEXEC)),
        in_use_(fd_ >= 0 && ::flock(fd_, LOCK_SH | LOCK_NB) != 0) {}
  ~QueueLock() {
    if (fd_ >= 0) ::close(fd_);
  }
  QueueLock(const QueueLock&) = delete;
  QueueLock& operator=(const QueueLock&) = delete;
  bool inUse() const { return in_use_; }

 private:
  int fd_;
  bool in_use_;
};

// Damaged bytes may be quoted in a problem: what is printed is one line of printable text.
std::string printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) c = '?';
  }
  return text;
}

bool isDamaged(const queue::SpoolReport& report) {
  return report.damaged_messages > 0 || report.problem_count > 0 || report.dropped_log_bytes > 0;
}

void printText(const queue::SpoolReport& report, std::ostream& out) {
  out << "messages           " << report.messages << '\n'
      << "recipients         " << report.recipients << '\n'
      << "content bytes      " << report.content_bytes << '\n'
      << "half received      " << report.half_received << '\n'
      << "damaged messages   " << report.damaged_messages << '\n'
      << "dropped log bytes  " << report.dropped_log_bytes << '\n'
      << "problems           " << report.problem_count << '\n';
  for (const auto& problem : report.problems) {
    out << (problem.id.empty() ? "-" : problem.id) << "  " << printable(problem.detail) << '\n';
  }
  if (report.problem_count > report.problems.size()) {
    out << "... and " << report.problem_count - report.problems.size() << " more\n";
  }
}

void printJson(const queue::SpoolReport& report, std::ostream& out) {
  auto problems = nlohmann::ordered_json::array();
  for (const auto& problem : report.problems) {
    problems.push_back({{"id", problem.id}, {"detail", printable(problem.detail)}});
  }
  const nlohmann::ordered_json all{{"messages", report.messages},
                                   {"recipients", report.recipients},
                                   {"content_bytes", report.content_bytes},
                                   {"half_received", report.half_received},
                                   {"damaged_messages", report.damaged_messages},
                                   {"dropped_log_bytes", report.dropped_log_bytes},
                                   {"problem_count", report.problem_count},
                                   {"problems", problems}};
  out << all.dump(2) << '\n';
}

void print(const queue::SpoolReport& report, const SpoolOptions& options, std::ostream& out) {
  options.json ? printJson(report, out) : printText(report, out);
}

// Nothing after it has told why.
std::optional<std::string> dataDir(const CliContext& context, const SpoolOptions& options) {
  if (!options.data_dir.empty()) return options.data_dir;
  const LoadedConfig loaded = context.loadConfig();
  if (reportMistakes(loaded, context.err)) return loaded.config.data_dir;
  context.err << "sluice spool: --data-dir DIR does without a configuration\n";
  return std::nullopt;
}

int failWith(const CliContext& context, const std::string& why) {
  context.err << "sluice spool: " << why << '\n';
  return kExitFailed;
}

int run(const CliContext& context, const SpoolOptions& options) {
  const auto data_dir = dataDir(context, options);
  if (!data_dir) return kExitFailed;
  const QueueLock lock(*data_dir);
  if (lock.inUse()) {
    return failWith(context, *data_dir + " is in use by a running relay: stop it, or take a copy");
  }
  if (options.folder.empty()) {
    const auto report = queue::checkSpool(*data_dir, {});
    if (!report) return failWith(context, report.error().detail);
    print(*report, options, context.out);
    return isDamaged(*report) ? kExitFailed : kExitOk;
  }
  auto folder = SpoolExport::create(options.folder);
  if (!folder) return failWith(context, folder.error().detail);
  const auto report = queue::checkSpool(
      *data_dir, [&folder](const queue::SpoolMessage& message) { folder->write(message); });
  if (!report) return failWith(context, report.error().detail);
  const auto written = folder->finish();
  if (!written) return failWith(context, written.error().detail);
  print(*report, options, context.out);
  if (!options.json) context.out << "written            " << *written << '\n';
  return isDamaged(*report) ? kExitFailed : kExitOk;
}

void addCommon(CLI::App& command, CliContext& context,
               const std::shared_ptr<SpoolOptions>& options) {
  addConfigOption(command, context);
  command.add_option("--data-dir", options->data_dir, "Where the queue lies; else as configured")
      ->type_name("DIR");
  command.add_flag("--json", options->json, "Print JSON");
  command.callback([&context, options] { context.exit_code = run(context, *options); });
}

}  // namespace

void addSpoolCommand(CLI::App& app, CliContext& context) {
  CLI::App* spool = app.add_subcommand("spool", "Verify or export the queue of a stopped relay");
  spool->require_subcommand(1);
  spool->footer("Example: sluice spool check");

  const auto check_options = std::make_shared<SpoolOptions>();
  CLI::App* check = spool->add_subcommand("check", "Verify every record; changes nothing");
  check->footer(
      "Exit codes: 0 all is well, 1 damage was found, or the queue cannot be read.\n"
      "Example: sluice spool check --data-dir /var/lib/sluice");
  addCommon(*check, context, check_options);

  const auto export_options = std::make_shared<SpoolOptions>();
  CLI::App* write = spool->add_subcommand("export", "Write every readable message as a file");
  write->add_option("DIR", export_options->folder, "A folder that is empty or not there yet")
      ->required();
  write->footer(
      "Each message is ID.eml, its envelope ID.json with the recipients still to be served;\n"
      "a message that cannot be read in full is ID.partial.\n"
      "Exit codes: 0 everything was written, 1 not everything could be read or written.\n"
      "Example: sluice spool export /tmp/rescued --data-dir /srv/copy-of-queue");
  addCommon(*write, context, export_options);
}

}  // namespace sluice::relay
