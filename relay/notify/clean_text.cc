#include "relay/notify/clean_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace sluice::relay {
namespace {

// A piece without spaces is cut at this length, so that every line stays under kMaxLineBytes.
constexpr size_t kMaxWordBytes = 900;

// One character off the front of `bytes`; nothing taken and 0 if it is no well-formed UTF-8.
char32_t takeCharacter(std::string_view& bytes) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const size_t length = byte(0) < 0x80   ? 1
                        : byte(0) < 0xc2 ? 0
                        : byte(0) < 0xe0 ? 2
                        : byte(0) < 0xf0 ? 3
                        : byte(0) < 0xf5 ? 4
                                         : 0;
  if (length == 0 || bytes.size() < length) return 0;
  char32_t character = length == 1 ? byte(0) : byte(0) & (0x7fu >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    character = character << 6 | (byte(i) & 0x3f);
  }
  static constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = character >= 0xd800 && character <= 0xdfff;
  if (character < kLeast[length] || character > 0x10ffff || surrogate) return 0;
  bytes.remove_prefix(length);
  return character;
}

// Not: characters that move, hide or reorder what a person reads. C1 controls, line and paragraph
// separators, bidirectional and other format controls, tags and non-characters.
bool visible(char32_t c) {
  return !(c < 0xa0 || c == 0xad || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||
           (c & 0xfffe) == 0xfffe || (c >= 0xe0000 && c <= 0xe0fff));
}

}  // namespace

std::string cleanText(std::string_view bytes, Charset charset, size_t max_bytes) {
  std::string out;
  out.reserve(std::min(bytes.size(), max_bytes));
  bool space = false;
  while (!bytes.empty()) {
    const auto first = static_cast<unsigned char>(bytes.front());
    if (first <= ' ' || first == 0x7f) {
      space = !out.empty();
      bytes.remove_prefix(1);
      continue;
    }
    const std::string_view before = bytes;
    const char32_t character = takeCharacter(bytes);
    std::string_view piece = before.substr(0, before.size() - bytes.size());
    std::string escaped;
    if (character == 0) {
      bytes.remove_prefix(1);
      piece = "?";
    } else if (character >= 0x80 && (charset == Charset::Ascii || !visible(character))) {
      escaped = fmt::format("\\x{{{:X}}}", static_cast<uint32_t>(character));
      piece = escaped;
    }
    if (out.size() + (space ? 1 : 0) + piece.size() > max_bytes) {
      out.append("...");
      break;
    }
    if (space) out.push_back(' ');
    space = false;
    out.append(piece);
  }
  return out;
}

namespace {

// The next word of `text`, cut where it would make a line too long (never inside a character).
std::string_view takeWord(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  size_t end = std::min(text.find(' '), text.size());
  if (end > kMaxWordBytes) {
    end = kMaxWordBytes;
    while (end > kMaxWordBytes - 4 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  }
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end);
  return word;
}

}  // namespace

void appendField(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(":");
  size_t column = name.size() + 1;
  bool first = true;
  while (true) {
    const std::string_view word = takeWord(value);
    if (word.empty()) break;
    // The first word stays beside the name unless the line would get too long.
    const size_t limit = first ? kMaxLineBytes : kFoldColumn;
    if (column + 1 + word.size() > limit) {
      out.append("\r\n");
      column = 0;
    }
    out.append(" ").append(word);
    column += 1 + word.size();
    first = false;
  }
  out.append("\r\n");
}

void appendWrapped(std::string& out, std::string_view text, std::string_view indent) {
  size_t column = 0;
  while (true) {
    const std::string_view word = takeWord(text);
    if (word.empty()) break;
    if (column == 0) {
      out.append(indent);
      column = indent.size();
    } else if (column + 1 + word.size() > kFoldColumn) {
      out.append("\r\n").append(indent);
      column = indent.size();
    } else {
      out.push_back(' ');
      ++column;
    }
    out.append(word);
    column += word.size();
  }
  out.append("\r\n");
}

}  // namespace sluice::relay
