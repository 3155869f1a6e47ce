// One event as one line, JSON or text, with everything from outside escaped.
//
// Written by hand because every message makes several: no allocation beside the output's, no copy
// of a value. A line holds no byte below 0x20 and no 0x7f but its final newline, and is valid UTF-8
// without control characters, line separators or bidirectional overrides: it cannot be forged, and
// cannot play tricks on a terminal. No I/O; one thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/base/clock.h"
#include "relay/log/event_log.h"

namespace sluice::relay {

std::string_view toString(LogLevel level);

// RFC 3339 in UTC with microseconds, without work for what did not change since the last call.
class TimeText {
 public:
  std::string_view of(WallTime time);

 private:
  int64_t second_ = INT64_MIN;
  std::string text_;  // "2026-11-24T08:21:32.123456Z"
};

// Appends one line to `out`, which ends in a newline once finish() was called.
class EventLine {
 public:
  // A longer value is cut, at a character's end, and marked with an ellipsis.
  static constexpr size_t kMaxValueBytes = 2048;

  EventLine(std::string& out, bool json, std::string_view time, LogLevel level,
            std::string_view event);
  void text(std::string_view name, std::string_view value);
  void integer(std::string_view name, int64_t value);
  void real(std::string_view name, double value);
  void flag(std::string_view name, bool value);
  void finish() { out_ += json_ ? std::string_view("}\n") : std::string_view("\n"); }

 private:
  void key(std::string_view name);
  std::string& out_;
  bool json_;
};

void appendMessageLine(std::string& out, bool json, std::string_view time,
                       const MessageEvent& event);
void appendEventLine(std::string& out, bool json, std::string_view time, const LogEvent& event);

// Appends `value` without its quotes, as it may stand in a JSON string and in a line of the log.
void appendEscaped(std::string& out, std::string_view value);

}  // namespace sluice::relay
