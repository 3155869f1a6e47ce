#include "relay/config/machine.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <optional>
#include <sstream>
#include <thread>
#include <vector>

#include "relay/config/config_names.h"

namespace sluice::relay {
namespace {

constexpr std::string_view kLoopback6 = "00000000000000000000000000000001";

std::optional<std::string> firstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return line;
}

std::optional<double> number(const std::string& text) {
  try {
    return std::stod(text);
  } catch (const std::exception&) {  // "max"
    return std::nullopt;
  }
}

// Our control group of one hierarchy, and the name of the folder that hierarchy is mounted in.
struct Group {
  std::string folder;  // "" in v2, "memory", "cpu,cpuacct" ... in v1
  std::string path;    // "/system.slice/sluice.service"
};

// /proc/self/cgroup: "0::/path" in v2, "4:memory:/path" in v1.
std::optional<Group> groupOf(const MachineFiles& files, std::string_view controller) {
  std::ifstream file(files.proc + "/self/cgroup");
  std::optional<Group> unified;
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const Group group{controllers, line.substr(second + 1)};
    if (controllers.empty()) unified = group;
    if (("," + controllers + ",").find("," + std::string(controller) + ",") != std::string::npos) {
      return group;
    }
  }
  return unified;
}

// The folders of our group and of all above it, up to where the hierarchy is mounted. In a
// container the path may be the host's and not be there; then the mount itself is our group.
std::vector<std::string> foldersOf(const MachineFiles& files, const Group& group) {
  const std::string mount = group.folder.empty() ? files.cgroup : files.cgroup + "/" + group.folder;
  std::vector<std::string> folders{mount};
  for (size_t slash = group.path.find('/', 1); group.path.size() > 1;
       slash = group.path.find('/', slash + 1)) {
    folders.push_back(mount + group.path.substr(0, slash));
    if (slash == std::string::npos) break;
  }
  return folders;
}

std::optional<double> quotaOf(const std::string& folder) {
  if (const auto line = firstLine(folder + "/cpu.max")) {  // "150000 100000" or "max 100000"
    std::istringstream words(*line);
    std::string quota, period;
    words >> quota >> period;
    const auto of = number(quota), in = number(period);
    return of && in && *in > 0 ? std::optional(*of / *in) : std::nullopt;
  }
  const auto quota = number(firstLine(folder + "/cpu.cfs_quota_us").value_or(""));
  const auto period = number(firstLine(folder + "/cpu.cfs_period_us").value_or(""));
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
  return *quota / *period;
}

std::optional<double> memoryLimitOf(const std::string& folder) {
  if (const auto limit = firstLine(folder + "/memory.max")) return number(*limit);
  return number(firstLine(folder + "/memory.limit_in_bytes").value_or(""));
}

int coresByAffinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

// What DNS and EHLO cannot say becomes a hyphen.
std::string asHostName(std::string host) {
  for (char& c : host) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '.') c = '-';
  }
  const auto valid = parseHostName(host);
  return valid ? *valid : "localhost";
}

}  // namespace

int usableCores(const MachineFiles& files) {
  double cores = coresByAffinity();
  if (const auto group = groupOf(files, "cpu")) {
    for (const auto& folder : foldersOf(files, *group)) {
      cores = std::min(cores, quotaOf(folder).value_or(cores));
    }
  }
  return std::max(1, static_cast<int>(std::ceil(cores)));
}

uint64_t usableMemoryBytes(const MachineFiles& files) {
  double bytes = 0;
  std::ifstream meminfo(files.proc + "/meminfo");  // "MemTotal:       16316412 kB"
  for (std::string line; bytes == 0 && std::getline(meminfo, line);) {
    if (line.starts_with("MemTotal:")) bytes = number(line.substr(9)).value_or(0) * 1024;
  }
  if (const auto group = groupOf(files, "memory")) {
    for (const auto& folder : foldersOf(files, *group)) {
      const double limit = memoryLimitOf(folder).value_or(0);
      if (limit > 0 && (bytes == 0 || limit < bytes)) bytes = limit;
    }
  }
  return static_cast<uint64_t>(bytes);
}

std::string fullNameOf(const std::string& host, const MachineFiles& files) {
  if (host.find('.') != std::string::npos) return asHostName(host);
  std::ifstream hosts(files.hosts);
  for (std::string line; std::getline(hosts, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string address;
    words >> address;
    std::vector<std::string> names;
    for (std::string each; words >> each;) names.push_back(each);
    if (std::find(names.begin(), names.end(), host) == names.end()) continue;
    for (const auto& each : names) {
      if (each.find('.') != std::string::npos && each.starts_with(host + ".")) {
        return asHostName(each);
      }
    }
  }
  return asHostName(host);
}

std::string machineName(const MachineFiles& files) {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) return "localhost";
  return fullNameOf(host.data(), files);
}

bool hasIpv6Loopback(const MachineFiles& files) {
  std::ifstream addresses(files.proc + "/net/if_inet6");
  for (std::string line; std::getline(addresses, line);) {
    if (line.starts_with(kLoopback6)) return true;
  }
  return false;
}

}  // namespace sluice::relay
