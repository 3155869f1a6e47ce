// Rows for people: aligned under headings on a terminal, columns split by tabs otherwise.
//
// Values may hold bytes from anyone; control characters and what misleads a reader are escaped.
#pragma once

#include <chrono>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/base/clock.h"

namespace sluice::relay {

class Table {
 public:
  explicit Table(std::vector<std::string> headings) { rows_.push_back(std::move(headings)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  // The last column is never padded.
  void print(std::ostream& out, bool aligned) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// Whether `out` is this process's standard output and that a terminal.
bool isTerminal(const std::ostream& out);

// As it may be shown on a terminal, in one line.
std::string printable(std::string_view text);

// "3m12s", "45s", "2d4h": the two largest units.
std::string shortDuration(std::chrono::seconds duration);
// "2026-11-24T08:21:32.123456Z", as the API writes times.
std::optional<WallTime> parseTime(std::string_view text);

}  // namespace sluice::relay
