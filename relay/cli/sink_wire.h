// Small judgements about SMTP lines and content, for SinkSession: words, paths, stray line ends.
//
// Pure. Written apart from the relay's own parsers on purpose.
#pragma once

#include <string>
#include <string_view>

namespace sluice::relay {

bool equalsNoCase(std::string_view a, std::string_view b);  // ASCII only
std::string_view trimmed(std::string_view text);            // of spaces
std::string_view takeWord(std::string_view& text);          // up to a space

// Takes "FROM:<path>" or "TO:<path>" off the front; quotes may hide a '>'. False: it is not there.
bool takePath(std::string_view& text, std::string_view keyword, std::string_view& path);

bool hasHighBit(std::string_view bytes);
// Some CR is not followed by LF, or some LF follows no CR.
bool hasBareLineEnd(std::string_view content);

// RFC 5321 section 4.5.2: a dot that begins a line goes. `wire` is without the final dot.
void unstuff(std::string_view wire, std::string& content);

}  // namespace sluice::relay
