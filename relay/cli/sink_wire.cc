#include "relay/cli/sink_wire.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace sluice::relay {
namespace {

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

}  // namespace

bool equalsNoCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return upper(x) == upper(y); });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

std::string_view takeWord(std::string_view& text) {
  text = trimmed(text);
  const size_t end = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end);
  return word;
}

bool takePath(std::string_view& text, std::string_view keyword, std::string_view& path) {
  text = trimmed(text);
  if (text.size() < keyword.size() + 2 || !equalsNoCase(text.substr(0, keyword.size()), keyword) ||
      text[keyword.size()] != '<') {
    return false;
  }
  const size_t start = keyword.size() + 1;
  bool quoted = false;
  for (size_t i = start; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (text[i] == '>' && !quoted) {
      path = text.substr(start, i - start);
      text.remove_prefix(i + 1);
      return text.empty() || text.front() == ' ';
    }
  }
  return false;
}

bool hasHighBit(std::string_view bytes) {
  uint64_t all = 0;
  while (bytes.size() >= 8) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data(), 8);
    all |= word;
    bytes.remove_prefix(8);
  }
  for (const char c : bytes) all |= static_cast<unsigned char>(c);
  return (all & 0x8080808080808080u) != 0;
}

bool hasBareLineEnd(std::string_view content) {
  for (size_t at = content.find('\r'); at != std::string_view::npos; at = content.find('\r', at)) {
    if (at + 1 == content.size() || content[at + 1] != '\n') return true;
    at += 2;
  }
  for (size_t at = content.find('\n'); at != std::string_view::npos;
       at = content.find('\n', at + 1)) {
    if (at == 0 || content[at - 1] != '\r') return true;
  }
  return false;
}

void unstuff(std::string_view wire, std::string& content) {
  content.clear();
  if (wire.starts_with('.')) wire.remove_prefix(1);
  while (true) {
    const size_t at = wire.find("\r\n.");
    if (at == std::string_view::npos) break;
    content.append(wire.substr(0, at + 2));
    wire.remove_prefix(at + 3);
  }
  content.append(wire);
}

}  // namespace sluice::relay
