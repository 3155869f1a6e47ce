#include "relay/log/event_line.h"

#include <array>
#include <charconv>
#include <cmath>

namespace sluice::relay {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD
constexpr std::string_view kEllipsis = "\xe2\x80\xa6";     // U+2026

// Bytes that stand for themselves in a JSON string and on a line.
constexpr std::array<bool, 256> kPlain = [] {
  std::array<bool, 256> plain{};
  for (int c = 0x20; c < 0x7f; ++c) plain[static_cast<size_t>(c)] = c != '"' && c != '\\';
  return plain;
}();

// Bytes of a value that needs no quotes in the text format.
constexpr std::array<bool, 256> kBare = [] {
  std::array<bool, 256> bare{};
  for (int c = '0'; c <= '9'; ++c) bare[static_cast<size_t>(c)] = true;
  for (int c = 'a'; c <= 'z'; ++c) bare[static_cast<size_t>(c)] = true;
  for (int c = 'A'; c <= 'Z'; ++c) bare[static_cast<size_t>(c)] = true;
  for (const char c : std::string_view("._-+@:/[]<>,")) bare[static_cast<size_t>(c)] = true;
  return bare;
}();

size_t index(char c) { return static_cast<unsigned char>(c); }

void appendUnicodeEscape(std::string& out, uint32_t code) {
  constexpr char kHex[] = "0123456789abcdef";
  const char escape[] = {
      '\\',           'u', kHex[code >> 12 & 15], kHex[code >> 8 & 15], kHex[code >> 4 & 15],
      kHex[code & 15]};
  out.append(escape, sizeof escape);
}

void appendAscii(std::string& out, char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      appendUnicodeEscape(out, static_cast<unsigned char>(c));
  }
}

struct Decoded {
  uint32_t code = 0;
  size_t length = 0;  // 0: not well-formed (Unicode 15, table 3-7)
};

Decoded decodeUtf8(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(index(text[i])); };
  const uint32_t lead = byte(0);
  const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return {};
  uint32_t code = lead & (0x7fu >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3f);
  }
  constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kSmallest[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return {};
  return {code, length};
}

// Characters that end or turn a line, or are not seen: C1 controls, zero-width and bidirectional
// ones, line and paragraph separators.
bool misleads(uint32_t code) {
  return code < 0xa0 || code == 0xad || code == 0x61c || (code >= 0x200b && code <= 0x200f) ||
         (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) || code == 0xfeff;
}

// Appends what is at the front of `value` (no plain byte) and says how long it is.
size_t appendSpecial(std::string& out, std::string_view value) {
  if (index(value[0]) < 0x80) {
    appendAscii(out, value[0]);
    return 1;
  }
  const Decoded decoded = decodeUtf8(value);
  if (decoded.length == 0) {
    out += kReplacement;
    return 1;
  }
  if (misleads(decoded.code)) {
    appendUnicodeEscape(out, decoded.code);
  } else {
    out.append(value.substr(0, decoded.length));
  }
  return decoded.length;
}

std::string_view cut(std::string_view value) {
  if (value.size() <= EventLine::kMaxValueBytes) return value;
  size_t end = EventLine::kMaxValueBytes;
  for (int back = 0; back < 3 && end > 0 && (index(value[end]) & 0xc0) == 0x80; ++back) --end;
  return value.substr(0, end);
}

template <class Number, class... Format>
void appendNumber(std::string& out, Number value, Format... format) {
  char digits[64];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, value, format...);
  if (error == std::errc()) {
    out.append(digits, end);
  } else {
    out += '0';
  }
}

void textUnlessEmpty(EventLine& line, std::string_view name, std::string_view value) {
  if (!value.empty()) line.text(name, value);
}

}  // namespace

std::string_view toString(LogLevel level) {
  switch (level) {
    case LogLevel::Debug:
      return "debug";
    case LogLevel::Info:
      return "info";
    case LogLevel::Warn:
      return "warn";
    case LogLevel::Error:
      return "error";
  }
  return "error";
}

std::string_view TimeText::of(WallTime time) {
  constexpr size_t kFraction = 20;  // where the six digits stand
  const int64_t us = time.time_since_epoch().count();
  int64_t second = us / 1'000'000;
  int64_t rest = us % 1'000'000;
  if (rest < 0) {
    rest += 1'000'000;
    --second;
  }
  if (second != second_) {
    second_ = second;
    text_ = formatRfc3339(time);
    return text_;
  }
  if (text_.size() < kFraction + 6) return text_;
  for (size_t at = kFraction + 6; at-- > kFraction; rest /= 10) {
    text_[at] = static_cast<char>('0' + rest % 10);
  }
  return text_;
}

void appendEscaped(std::string& out, std::string_view value) {
  const char* at = value.data();
  const char* const end = at + value.size();
  while (at != end) {
    const char* run = at;
    while (run != end && kPlain[index(*run)]) ++run;
    out.append(at, run);
    at = run;
    if (at != end) at += appendSpecial(out, {at, static_cast<size_t>(end - at)});
  }
}

EventLine::EventLine(std::string& out, bool json, std::string_view time, LogLevel level,
                     std::string_view event)
    : out_(out), json_(json) {
  if (json_) {
    out_ += "{\"time\":\"";
    out_ += time;
    out_ += "\",\"level\":\"";
    out_ += toString(level);
    out_ += "\",\"event\":\"";
    appendEscaped(out_, cut(event));
    out_ += '"';
  } else {
    out_ += time;
    out_ += ' ';
    out_ += toString(level);
    out_ += ' ';
    appendEscaped(out_, cut(event));
  }
}

void EventLine::key(std::string_view name) {
  out_ += json_ ? std::string_view(",\"") : std::string_view(" ");
  appendEscaped(out_, name);
  out_ += json_ ? std::string_view("\":") : std::string_view("=");
}

void EventLine::text(std::string_view name, std::string_view value) {
  key(name);
  const std::string_view shown = cut(value);
  bool quoted = json_ || shown.empty();
  for (size_t i = 0; !quoted && i < shown.size(); ++i) quoted = !kBare[index(shown[i])];
  if (quoted) out_ += '"';
  appendEscaped(out_, shown);
  if (shown.size() < value.size()) out_ += kEllipsis;
  if (quoted) out_ += '"';
}

void EventLine::integer(std::string_view name, int64_t value) {
  key(name);
  appendNumber(out_, value);
}

void EventLine::real(std::string_view name, double value) {
  key(name);
  if (std::isfinite(value)) {
    // Whole numbers stay short; seconds are told to the microsecond.
    const bool whole = value == std::trunc(value) && std::abs(value) < 1e15;
    appendNumber(out_, value, std::chars_format::fixed, whole ? 0 : 6);
  } else {
    out_ += "null";
  }
}

void EventLine::flag(std::string_view name, bool value) {
  key(name);
  out_ += value ? "true" : "false";
}

void appendMessageLine(std::string& out, bool json, std::string_view time,
                       const MessageEvent& event) {
  EventLine line(out, json, time, LogLevel::Info, event.event);
  textUnlessEmpty(line, "id", event.id);
  textUnlessEmpty(line, "sender", event.sender);
  textUnlessEmpty(line, "recipient", event.recipient);
  if (event.size != 0) line.integer("size", static_cast<int64_t>(event.size));
  textUnlessEmpty(line, "connector", event.connector);
  textUnlessEmpty(line, "destination", event.destination);
  textUnlessEmpty(line, "mx", event.mx);
  textUnlessEmpty(line, "address", event.address);
  textUnlessEmpty(line, "tls", event.tls);
  textUnlessEmpty(line, "user", event.user);
  if (event.code != 0) line.integer("code", event.code);
  textUnlessEmpty(line, "status", event.status);
  textUnlessEmpty(line, "reply", event.reply);
  if (event.attempts) line.integer("attempts", *event.attempts);
  if (event.delay_s) line.real("delay_s", *event.delay_s);
  line.finish();
}

void appendEventLine(std::string& out, bool json, std::string_view time, const LogEvent& event) {
  EventLine line(out, json, time, event.level, event.event);
  for (const auto& [name, value] : event.fields) {
    if (const auto* text = std::get_if<std::string>(&value)) {
      line.text(name, *text);
    } else if (const auto* integer = std::get_if<int64_t>(&value)) {
      line.integer(name, *integer);
    } else if (const auto* real = std::get_if<double>(&value)) {
      line.real(name, *real);
    } else if (const auto* flag = std::get_if<bool>(&value)) {
      line.flag(name, *flag);
    }
  }
  line.finish();
}

}  // namespace sluice::relay
