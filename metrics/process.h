// Numbers about the process that the kernel keeps. Any thread.
#pragma once

#include <cstdint>

namespace sluice::metrics {

// Resident memory; 0 if /proc cannot be read.
uint64_t residentBytes();

}  // namespace sluice::metrics
