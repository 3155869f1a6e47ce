#include "relay/cli/table.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <iostream>

#include "relay/log/event_line.h"

namespace sluice::relay {
namespace {

// Columns on a terminal: code points, near enough.
size_t widthOf(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

std::optional<int> digits(std::string_view text, size_t at, size_t count) {
  int value = 0;
  const char* begin = text.data() + at;
  const auto [end, error] = std::from_chars(begin, begin + count, value);
  if (error != std::errc() || end != begin + count) return std::nullopt;
  return value;
}

}  // namespace

void Table::print(std::ostream& out, bool aligned) const {
  std::vector<std::vector<std::string>> shown;
  std::vector<size_t> widths(rows_.front().size(), 0);
  for (const auto& row : rows_) {
    auto& cells = shown.emplace_back();
    for (size_t column = 0; column < row.size(); ++column) {
      cells.push_back(row[column].empty() ? "-" : printable(row[column]));
      widths[column] = std::max(widths[column], widthOf(cells.back()));
    }
  }
  for (const auto& row : shown) {
    for (size_t column = 0; column < row.size(); ++column) {
      out << row[column];
      if (column + 1 == row.size()) continue;
      if (aligned) {
        out << std::string(widths[column] - widthOf(row[column]) + 2, ' ');
      } else {
        out << '\t';
      }
    }
    out << '\n';
  }
}

bool isTerminal(const std::ostream& out) {
  return &out == &std::cout && isatty(STDOUT_FILENO) != 0;
}

std::string printable(std::string_view text) {
  const bool plain =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  if (plain) return std::string(text);
  std::string out;
  appendEscaped(out, text);
  return out;
}

std::string shortDuration(std::chrono::seconds duration) {
  struct Unit {
    int64_t seconds;
    char name;
  };
  constexpr Unit kUnits[] = {{86'400, 'd'}, {3'600, 'h'}, {60, 'm'}, {1, 's'}};
  int64_t left = std::max<int64_t>(duration.count(), 0);
  std::string out;
  for (size_t i = 0; i < std::size(kUnits); ++i) {
    if (left < kUnits[i].seconds) continue;
    out = std::to_string(left / kUnits[i].seconds) + kUnits[i].name;
    left %= kUnits[i].seconds;
    if (i + 1 < std::size(kUnits) && left >= kUnits[i + 1].seconds) {
      out += std::to_string(left / kUnits[i + 1].seconds) + kUnits[i + 1].name;
    }
    return out;
  }
  return "0s";
}

std::optional<WallTime> parseTime(std::string_view text) {
  constexpr std::string_view kForm = "0000-00-00T00:00:00.000000Z";
  if (text.size() != kForm.size()) return std::nullopt;
  const auto year = digits(text, 0, 4);
  const auto month = digits(text, 5, 2);
  const auto day = digits(text, 8, 2);
  const auto hour = digits(text, 11, 2);
  const auto minute = digits(text, 14, 2);
  const auto second = digits(text, 17, 2);
  const auto fraction = digits(text, 20, 6);
  if (!year || !month || !day || !hour || !minute || !second || !fraction) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  return WallTime(std::chrono::sys_days(date)) + std::chrono::hours(*hour) +
         std::chrono::minutes(*minute) + std::chrono::seconds(*second) +
         std::chrono::microseconds(*fraction);
}

}  // namespace sluice::relay
