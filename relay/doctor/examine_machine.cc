// Does this machine give a relay what it needs: the time, file descriptors, ports, a long enough
// accept queue?
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/timex.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>

#include "relay/doctor/examinations.h"

namespace sluice::relay {
namespace {

constexpr uint64_t kFilesBesideConnections = 1000;  // of the database, the log, the admin address
constexpr int64_t kFewPending = 1024;               // connections that wait for accept()
constexpr int64_t kFewPorts = 20'000;

void examineClock(Findings& findings) {
  timex state{};
  const int result = ::adjtimex(&state);
  if (result < 0) {
    findings.note("clock", "", "the kernel does not say whether it is synchronised");
    return;
  }
  if (result == TIME_ERROR || (state.status & STA_UNSYNC) != 0) {
    findings.warning("clock", formatRfc3339(Clock::system().wall()),
                     "nobody keeps the clock right, says the kernel: dates in mail, certificates "
                     "and signatures depend on it",
                     "run chrony or systemd-timesyncd here, or on the host of this container");
    return;
  }
  findings.ok(
      "clock", formatRfc3339(Clock::system().wall()),
      fmt::format("kept right, to within {:.0f} ms", static_cast<double>(state.maxerror) / 1000.0));
}

void examineOpenFiles(const Config& config, Findings& findings) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  uint64_t wanted = kFilesBesideConnections;
  for (const ReceiveConfig& connector : config.receive) {
    wanted += static_cast<uint64_t>(connector.max_connections);
  }
  if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < wanted) {
    findings.warning("open-files", std::to_string(limit.rlim_max),
                     fmt::format("fewer than the {} that max_connections of all receive connectors "
                                 "may need",
                                 wanted),
                     "LimitNOFILE= in the unit, --ulimit nofile= of the container, or ulimit -n");
  } else {
    findings.ok("open-files",
                limit.rlim_max == RLIM_INFINITY ? "no limit" : std::to_string(limit.rlim_max),
                fmt::format("enough for max_connections ({} are needed at most)", wanted));
  }
}

// The numbers in a file below /proc.
std::optional<std::vector<int64_t>> numbersIn(const std::string& path) {
  std::ifstream file(path);
  std::vector<int64_t> numbers;
  for (int64_t number = 0; file >> number;) numbers.push_back(number);
  if (numbers.empty()) return std::nullopt;
  return numbers;
}

void examineKernel(const MachineFiles& files, bool sends_much, Findings& findings) {
  const auto pending = numbersIn(files.proc + "/sys/net/core/somaxconn");
  if (pending && pending->front() < kFewPending) {
    findings.warning("kernel", "net.core.somaxconn",
                     fmt::format("is {}: when many clients connect at once, some wait a second or "
                                 "more for their greeting",
                                 pending->front()),
                     "sysctl -w net.core.somaxconn=4096");
  } else if (pending) {
    findings.ok("kernel", "net.core.somaxconn", std::to_string(pending->front()));
  }
  const auto range = numbersIn(files.proc + "/sys/net/ipv4/ip_local_port_range");
  if (!range || range->size() < 2) return;
  const int64_t ports = (*range)[1] - (*range)[0];
  if (sends_much && ports < kFewPorts) {
    findings.note("kernel", "net.ipv4.ip_local_port_range",
                  fmt::format("leaves {} ports for connections to one smart host", ports),
                  "sysctl -w net.ipv4.ip_local_port_range='10240 65535'");
  } else {
    findings.ok("kernel", "net.ipv4.ip_local_port_range", fmt::format("{} ports", ports));
  }
}

}  // namespace

void examineMachine(const Config& config, Findings& findings, const MachineFiles& files) {
  examineClock(findings);
  examineOpenFiles(config, findings);
  const bool sends_much = std::any_of(
      config.send.begin(), config.send.end(),
      [](const SendConfig& connector) { return connector.limits.max_connections > 1000; });
  examineKernel(files, sends_much, findings);
  const uint64_t memory = usableMemoryBytes(files);
  if (memory == 0) return;
  const uint64_t used = config.queue.memory + config.queue.database_memory;
  const std::string text =
      fmt::format("{} MiB; content may take {} MiB of it and the database {} MiB", memory >> 20,
                  config.queue.memory >> 20, config.queue.database_memory >> 20);
  if (used > memory / 4 * 3) {
    findings.warning("memory", "", text,
                     "lower [queue] memory or database_memory, or give the relay more");
  } else {
    findings.ok("memory", "", text);
  }
}

}  // namespace sluice::relay
