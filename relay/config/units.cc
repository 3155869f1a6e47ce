#include "relay/config/units.h"

#include <array>
#include <charconv>

#include "relay/config/expand.h"

namespace sluice::relay {
namespace {

// No timeout of a relay is longer; keeps every sum of durations far from overflow.
constexpr milliseconds kMaxDuration = std::chrono::hours(24) * 3650;
constexpr uint64_t kMaxSizeBytes = 1ull << 50;
constexpr uint64_t kMaxRateCount = 1'000'000'000;

struct NumberAndUnit {
  uint64_t number = 0;
  std::string_view unit;
};

Result<NumberAndUnit> splitUnit(std::string_view text, std::string_view what) {
  const auto wrong = [&](Errc code, std::string_view why) {
    return fail(
        code, "\"" + std::string(text) + "\" is no " + std::string(what) + ": " + std::string(why));
  };
  if (text.empty()) return wrong(Errc::Malformed, "it is empty");
  if (text.front() == '-') return wrong(Errc::Malformed, "it is negative");
  NumberAndUnit split;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), split.number);
  if (error == std::errc::result_out_of_range) return wrong(Errc::TooLarge, "it is too large");
  if (error != std::errc()) return wrong(Errc::Malformed, "it does not begin with a number");
  split.unit = text.substr(static_cast<size_t>(end - text.data()));
  if (split.unit.starts_with('.'))
    return wrong(Errc::Malformed, "use a smaller unit, not a fraction");
  return split;
}

struct DurationUnit {
  std::string_view name;
  int64_t ms;
};
constexpr std::array<DurationUnit, 5> kDurationUnits{
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};

struct SizeUnit {
  std::string_view name;
  int shift;
};
constexpr std::array<SizeUnit, 5> kSizeUnits{
    {{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}, {"B", 0}}};

struct RateUnit {
  std::string_view name;
  int64_t s;
};
constexpr std::array<RateUnit, 3> kRateUnits{{{"s", 1}, {"m", 60}, {"h", 3600}}};

}  // namespace

Result<milliseconds> parseDuration(std::string_view text) {
  ASSIGN_OR_RETURN(const auto split, splitUnit(text, "duration"));
  if (split.unit.empty() && split.number == 0) return milliseconds(0);
  for (const auto& unit : kDurationUnits) {
    if (unit.name != split.unit) continue;
    const auto limit = static_cast<uint64_t>(kMaxDuration.count() / unit.ms);
    if (split.number > limit) {
      return fail(Errc::TooLarge, "\"" + std::string(text) + "\" is over ten years");
    }
    return milliseconds(static_cast<int64_t>(split.number) * unit.ms);
  }
  return fail(Errc::Malformed, "\"" + std::string(text) +
                                   "\" has no unit of time: write \"500ms\", "
                                   "\"30s\", \"5m\", \"4h\" or \"2d\"");
}

std::string formatDuration(milliseconds duration) {
  if (duration.count() == 0) return "0";
  for (const auto& unit : kDurationUnits) {
    if (duration.count() % unit.ms == 0) {
      return std::to_string(duration.count() / unit.ms) + std::string(unit.name);
    }
  }
  return std::to_string(duration.count()) + "ms";
}

Result<uint64_t> parseSize(std::string_view text) {
  ASSIGN_OR_RETURN(const auto split, splitUnit(text, "size"));
  for (const auto& unit : kSizeUnits) {
    if (unit.name != split.unit && !(split.unit.empty() && unit.shift == 0)) continue;
    if (split.number > kMaxSizeBytes >> unit.shift) {
      return fail(Errc::TooLarge, "\"" + std::string(text) + "\" is over 1024 TiB");
    }
    return split.number << unit.shift;
  }
  return fail(Errc::Malformed, "\"" + std::string(text) +
                                   "\" has no unit of size: write bytes, "
                                   "\"64KiB\", \"50MiB\", \"1GiB\" or \"2TiB\" (steps of 1024)");
}

std::string formatSize(uint64_t bytes) {
  for (const auto& unit : kSizeUnits) {
    const uint64_t one = 1ull << unit.shift;
    if (bytes >= one && bytes % one == 0) {
      return std::to_string(bytes >> unit.shift) + std::string(unit.name);
    }
  }
  return std::to_string(bytes) + "B";
}

Result<Rate> parseRate(std::string_view text) {
  if (text.empty()) return Rate{};
  ASSIGN_OR_RETURN(const auto split, splitUnit(text, "rate"));
  for (const auto& unit : kRateUnits) {
    if (split.unit.size() != 2 || split.unit[0] != '/' || split.unit[1] != unit.name[0]) continue;
    if (split.number == 0) {
      return fail(Errc::Malformed,
                  "\"" + std::string(text) + "\" would stop all mail: \"\" is no limit");
    }
    if (split.number > kMaxRateCount) {
      return fail(Errc::TooLarge, "\"" + std::string(text) + "\" is over a thousand million");
    }
    return Rate{split.number, seconds(unit.s)};
  }
  return fail(Errc::Malformed, "\"" + std::string(text) +
                                   "\" is no rate: write \"100/s\", "
                                   "\"5000/m\" or \"20000/h\"");
}

std::string formatRate(const Rate& rate) {
  if (rate.count == 0) return "";
  for (const auto& unit : kRateUnits) {
    if (rate.per.count() == unit.s)
      return std::to_string(rate.count) + "/" + std::string(unit.name);
  }
  return std::to_string(rate.count) + "/s";
}

Result<int> parsePercentage(std::string_view text) {
  ASSIGN_OR_RETURN(const auto split, splitUnit(text, "percentage"));
  if (split.unit != "%" || split.number < 1 || split.number > 90) {
    return fail(Errc::Malformed, "\"" + std::string(text) + "\" is no percentage from 1% to 90%");
  }
  return static_cast<int>(split.number);
}

std::string quoteToml(std::string_view text) {
  std::string out = "\"";
  for (const char c : escapeVariables(text)) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out + "\"";
}

}  // namespace sluice::relay
