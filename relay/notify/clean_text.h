// Bytes from outside, made fit for a notice: no controls, no stray line ends, no endless lines.
//
// Pure. Replies, paths and header fields are hostile here: they may hold anything.
#pragma once

#include <string>
#include <string_view>

namespace sluice::relay {

// What may stay: printable ASCII, or well-formed and visible UTF-8 as well.
enum class Charset { Ascii, Utf8 };

// RFC 5322 section 2.1.1: at most 998 octets a line; we fold far before.
inline constexpr size_t kMaxLineBytes = 998;
inline constexpr size_t kFoldColumn = 76;

// One line of text: controls and line ends become single spaces, other bytes that may not stay
// become "\x{E9}" (a character) or "?" (no UTF-8). At most `max_bytes`, cut with "...".
std::string cleanText(std::string_view bytes, Charset charset, size_t max_bytes);

// Appends "Name: value" and a line end, folded at spaces near kFoldColumn and in any case before
// kMaxLineBytes. `value` is clean.
void appendField(std::string& out, std::string_view name, std::string_view value);

// Appends `text` (clean) in lines of up to kFoldColumn columns, each behind `indent`.
void appendWrapped(std::string& out, std::string_view text, std::string_view indent);

}  // namespace sluice::relay
