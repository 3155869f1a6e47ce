// What this machine gives us: cores, memory, its name. Control groups count, so that a container
// with one core and 512 MiB does not plan for the whole host.
#pragma once

#include <cstdint>
#include <string>

namespace sluice::relay {

// Where the kernel tells; tests point it elsewhere.
struct MachineFiles {
  std::string proc = "/proc";
  std::string cgroup = "/sys/fs/cgroup";
  std::string hosts = "/etc/hosts";
};

// Cores that we may keep busy: the affinity mask, but no more than the CPU quota of our control
// group or of any above it (v2 cpu.max, v1 cpu.cfs_quota_us), rounded up. At least 1.
int usableCores(const MachineFiles& files = {});

// The machine's memory, or the limit of our control group or of any above it (v2 memory.max, v1
// memory.limit_in_bytes) if that is less. 0 if nothing can be found out.
uint64_t usableMemoryBytes(const MachineFiles& files = {});

// The machine's full name: its host name if that has a dot, else the first name with a dot that
// /etc/hosts has for it, else its host name. Asks no name server. Always a valid host name.
std::string machineName(const MachineFiles& files = {});
std::string fullNameOf(const std::string& host, const MachineFiles& files);

// Whether [::1] is an address of this machine.
bool hasIpv6Loopback(const MachineFiles& files = {});

}  // namespace sluice::relay
