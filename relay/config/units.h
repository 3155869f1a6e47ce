// Durations, sizes, rates and percentages as people write them in a configuration.
//
// Each format function gives a text that its parse function reads back to the same value. Errors:
// Malformed, TooLarge; their details are for the reader of a mistake.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "net/base/result.h"
#include "relay/config/config.h"

namespace sluice::relay {

// "500ms" "30s" "5m" "4h" "2d"; "0" without a unit.
Result<milliseconds> parseDuration(std::string_view text);
std::string formatDuration(milliseconds duration);

// "100B" "64KiB" "50MiB" "1GiB" "2TiB", or bytes without a unit. KB, MB ... are refused: some mean
// 1000 by them and some 1024.
Result<uint64_t> parseSize(std::string_view text);
std::string formatSize(uint64_t bytes);

// "100/s" "5000/m" "20000/h"; "" is no limit.
Result<Rate> parseRate(std::string_view text);
std::string formatRate(const Rate& rate);

// "25%": 1 to 90.
Result<int> parsePercentage(std::string_view text);

// `text` as a TOML string that expands to itself.
std::string quoteToml(std::string_view text);

}  // namespace sluice::relay
