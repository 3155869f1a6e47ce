// One value of the document as one C++ value: type, form and range.
//
// Each function gives nothing after it has reported why.
#pragma once

#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "net/base/ip_address.h"
#include "relay/config/config.h"
#include "relay/config/key_table.h"

namespace sluice::relay {

template <class Number>
struct Range {
  Number least;
  Number most;
};

// Whether "" is taken (as: not set).
enum class Empty { Allowed, Refused };

// Reports that `value` is not of this kind, unless it is; false if it is not.
bool isKind(ConfigValue::Kind kind, const ConfigValue& value, Reading& reading);

std::optional<bool> readBoolean(const ConfigValue& value, Reading& reading);
std::optional<int64_t> readInteger(const ConfigValue& value, Range<int64_t> range,
                                   Reading& reading);
std::optional<double> readNumber(const ConfigValue& value, Range<double> range, Reading& reading);
std::optional<milliseconds> readDuration(const ConfigValue& value, Range<milliseconds> range,
                                         Reading& reading);
std::optional<uint64_t> readSize(const ConfigValue& value, Range<uint64_t> range, Reading& reading);
std::optional<Rate> readRate(const ConfigValue& value, Reading& reading);
// Printable text without control characters.
std::optional<std::string> readText(const ConfigValue& value, Empty empty, Reading& reading);

// A parse function's value, or its error as a mistake.
template <class T>
std::optional<T> orMistake(Result<T> result, Place place, Reading& reading) {
  if (result) return std::move(*result);
  reading.mistake(place, result.error().detail);
  return std::nullopt;
}

Result<IpNetwork> parseNetwork(std::string_view text);
Result<Endpoint> parseEndpoint(std::string_view text);

}  // namespace sluice::relay
