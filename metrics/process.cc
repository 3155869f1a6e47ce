#include "metrics/process.h"

#include <unistd.h>

#include <cstdio>
#include <memory>

namespace sluice::metrics {

uint64_t residentBytes() {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen("/proc/self/statm", "re"),
                                                   &std::fclose);
  unsigned long total = 0;
  unsigned long resident = 0;  // proc(5): pages
  if (!file || std::fscanf(file.get(), "%lu %lu", &total, &resident) != 2) return 0;
  return static_cast<uint64_t>(resident) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace sluice::metrics
