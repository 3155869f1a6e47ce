#include "relay/config/value_readers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "relay/config/units.h"

namespace sluice::relay {
namespace {

std::string article(const ConfigValue& value) {
  if (value.kind == ConfigValue::Kind::Boolean) return value.boolean ? "true" : "false";
  return std::string(describe(value.kind));
}

bool hasControl(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

}  // namespace

bool isKind(ConfigValue::Kind kind, const ConfigValue& value, Reading& reading) {
  if (value.kind == kind) return true;
  if (value.kind != ConfigValue::Kind::Broken) {
    reading.mistake(value.place, fmt::format("must be {}, not {}", describe(kind), article(value)));
  }
  return false;
}

std::optional<bool> readBoolean(const ConfigValue& value, Reading& reading) {
  if (!isKind(ConfigValue::Kind::Boolean, value, reading)) return std::nullopt;
  return value.boolean;
}

std::optional<int64_t> readInteger(const ConfigValue& value, Range<int64_t> range,
                                   Reading& reading) {
  if (!isKind(ConfigValue::Kind::Integer, value, reading)) return std::nullopt;
  if (value.integer >= range.least && value.integer <= range.most) return value.integer;
  reading.mistake(value.place,
                  fmt::format("{} is not from {} to {}", value.integer, range.least, range.most));
  return std::nullopt;
}

std::optional<double> readNumber(const ConfigValue& value, Range<double> range, Reading& reading) {
  double number = value.number;
  if (value.kind == ConfigValue::Kind::Integer) {
    number = static_cast<double>(value.integer);
  } else if (value.kind != ConfigValue::Kind::Float) {
    if (value.kind != ConfigValue::Kind::Broken) {
      reading.mistake(value.place, "must be a number, not " + article(value));
    }
    return std::nullopt;
  }
  if (std::isfinite(number) && number >= range.least && number <= range.most) return number;
  reading.mistake(value.place,
                  fmt::format("{} is not from {} to {}", number, range.least, range.most));
  return std::nullopt;
}

std::optional<milliseconds> readDuration(const ConfigValue& value, Range<milliseconds> range,
                                         Reading& reading) {
  if (value.kind == ConfigValue::Kind::Integer) {
    reading.mistake(value.place, fmt::format("needs a unit: write \"{}s\" for {} seconds",
                                             value.integer, value.integer));
    return std::nullopt;
  }
  if (!isKind(ConfigValue::Kind::String, value, reading)) return std::nullopt;
  const auto duration = orMistake(parseDuration(value.text), value.place, reading);
  if (!duration || (*duration >= range.least && *duration <= range.most)) return duration;
  reading.mistake(value.place,
                  fmt::format("\"{}\" is not from {} to {}", value.text,
                              formatDuration(range.least), formatDuration(range.most)));
  return std::nullopt;
}

std::optional<uint64_t> readSize(const ConfigValue& value, Range<uint64_t> range,
                                 Reading& reading) {
  std::optional<uint64_t> size;
  if (value.kind == ConfigValue::Kind::Integer) {
    size = value.integer < 0 ? std::nullopt : std::optional(static_cast<uint64_t>(value.integer));
    if (!size) reading.mistake(value.place, fmt::format("{} is negative", value.integer));
  } else if (isKind(ConfigValue::Kind::String, value, reading)) {
    size = orMistake(parseSize(value.text), value.place, reading);
  }
  if (!size || (*size >= range.least && *size <= range.most)) return size;
  reading.mistake(value.place, fmt::format("{} is not from {} to {}", formatSize(*size),
                                           formatSize(range.least), formatSize(range.most)));
  return std::nullopt;
}

std::optional<Rate> readRate(const ConfigValue& value, Reading& reading) {
  if (!isKind(ConfigValue::Kind::String, value, reading)) return std::nullopt;
  return orMistake(parseRate(value.text), value.place, reading);
}

std::optional<std::string> readText(const ConfigValue& value, Empty empty, Reading& reading) {
  if (!isKind(ConfigValue::Kind::String, value, reading)) return std::nullopt;
  if (value.text.empty() && empty == Empty::Refused) {
    reading.mistake(value.place, "must not be empty");
    return std::nullopt;
  }
  if (hasControl(value.text)) {
    reading.mistake(value.place, "holds a control character");
    return std::nullopt;
  }
  return value.text;
}

Result<IpNetwork> parseNetwork(std::string_view text) {
  auto network = IpNetwork::parse(text);
  if (network) return network;
  return fail(Errc::Malformed,
              fmt::format("\"{}\" is no network (\"10.0.0.0/8\", \"2001:db8::/32\", "
                          "\"192.0.2.1\"): {}",
                          text, network.error().detail));
}

Result<Endpoint> parseEndpoint(std::string_view text) {
  auto endpoint = Endpoint::parse(text);
  if (endpoint) return endpoint;
  return fail(Errc::Malformed, fmt::format("\"{}\" is no address and port (\"127.0.0.1:2525\", "
                                           "\"[::1]:2525\"): {}",
                                           text, endpoint.error().detail));
}

}  // namespace sluice::relay
