// Histogram bounds with their units.
#pragma once

#include <array>

namespace sluice::metrics {

// Seconds of one disk commit: from a fast NVMe sync to the limit at which we answer 451.
inline constexpr std::array<double, 14> kCommitSeconds{
    0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 15, 60};
// Messages in one group commit.
inline constexpr std::array<double, 11> kCommitMessages{1,  2,   4,   8,   16,  32,
                                                        64, 128, 256, 512, 1024};
// Seconds from our 250 to the destination's: a fast smart host to days of retries.
inline constexpr std::array<double, 18> kDeliverySeconds{0.005, 0.01, 0.025, 0.05,  0.1,   0.25,
                                                         0.5,   1,    2.5,   5,     10,    30,
                                                         60,    300,  1800,  14400, 86400, 345600};
// Seconds of one DNS look-up.
inline constexpr std::array<double, 12> kDnsSeconds{0.0005, 0.001, 0.005, 0.01, 0.025, 0.05,
                                                    0.1,    0.25,  0.5,   1,    5,     15};
// Seconds by which an event loop came round late.
inline constexpr std::array<double, 9> kLoopLagSeconds{0.001, 0.005, 0.01, 0.025, 0.05,
                                                       0.1,   0.25,  1,    5};

}  // namespace sluice::metrics
