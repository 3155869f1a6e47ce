// sluice serve: run the relay in the foreground until it is told to stop.
#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ostream>

#include "net/inherited_sockets.h"
#include "relay/cli/commands.h"
#include "relay/cli/service_manager.h"
#include "relay/listeners.h"
#include "relay/privileges.h"
#include "relay/relay.h"

namespace sluice::relay {
namespace {

LogLevel levelOf(const std::string& name) {
  if (name == "debug") return LogLevel::Debug;
  if (name == "warn") return LogLevel::Warn;
  if (name == "error") return LogLevel::Error;
  return LogLevel::Info;
}

constexpr timespec kLookAtFiles{10, 0};  // whether certificates have changed

// Every connection is a file descriptor: as many as we are allowed.
void raiseFileLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// Blocked in every thread that is started from here on; serve() waits for them.
sigset_t blockSignals() {
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

std::string notifySocket() {
  const char* path = std::getenv("NOTIFY_SOCKET");
  return path == nullptr ? "" : path;
}

// While this is the only thread; those that come inherit it.
Result<void> confine(const Config& config) {
  RETURN_IF_ERROR(dropPrivileges(config));
  return config.process.sandbox ? enterSandbox() : Result<void>();
}

int serve(CliContext& context) {
  ::umask(077);
  const sigset_t signals = blockSignals();
  const ServiceManager manager(notifySocket());
  LoadedConfig loaded = context.loadConfig();
  if (!reportMistakes(loaded, context.err)) return kExitFailed;
  auto sockets = net::takeInheritedSockets();
  if (!sockets) {
    context.err << "sluice: " << sockets.error().detail << std::endl;
    return kExitFailed;
  }
  raiseFileLimit();
  auto listeners = bindListeners(loaded.config, std::move(*sockets));
  if (listeners) {
    if (const auto confined = confine(loaded.config); !confined) {
      listeners = tl::unexpected<Error>(confined.error());
    }
  }
  if (!listeners) {
    context.err << "sluice: " << listeners.error().detail << std::endl;
    return kExitFailed;
  }
  LogOptions log_options;
  log_options.level = levelOf(loaded.config.log.level);
  log_options.json = loaded.config.log.format != "text";
  const auto log = EventLog::create(log_options);
  if (::geteuid() == 0) log->log({LogLevel::Warn, "running_as_root", {}});
  auto relay = Relay::start(
      std::move(loaded.config), std::move(*listeners), [&context] { return context.loadConfig(); },
      *log);
  if (!relay) {
    context.err << "sluice: " << relay.error().detail << std::endl;
    return kExitFailed;
  }
  manager.ready();
  for (;;) {
    const int number = sigtimedwait(&signals, nullptr, &kLookAtFiles);
    if (number < 0) {
      if (errno != EAGAIN) continue;
      (*relay)->renewCertificates();
      (*relay)->keepUsage();
      continue;
    }
    if (number != SIGHUP) break;
    manager.reloading();
    (void)(*relay)->reload();  // says in the log how it went
    manager.ready();
  }
  manager.stopping();
  (*relay)->stop();
  return kExitOk;
}

}  // namespace

void addServeCommand(CLI::App& app, CliContext& context) {
  CLI::App* command = app.add_subcommand("serve", "Run the relay in the foreground");
  addConfigOption(*command, context);
  command->footer(
      "SIGTERM and SIGINT drain and stop, SIGHUP reloads the configuration.\n\n"
      "Example:\n  sluice serve --config /etc/sluice/sluice.toml");
  command->callback([&context] { context.exit_code = serve(context); });
}

}  // namespace sluice::relay
