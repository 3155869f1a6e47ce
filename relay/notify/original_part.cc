#include "relay/notify/original_part.h"

#include <algorithm>
#include <optional>

#include "net/smtp/path.h"
#include "relay/notify/clean_text.h"

namespace sluice::relay {
namespace {

constexpr size_t kMaxFieldBytes = 2000;  // of one header field that we read
constexpr size_t kMaxMessageIdBytes = 250;

// Takes a line off the front without its end, which is CRLF, LF, or the end of the text.
std::string_view takeLine(std::string_view& text) {
  const size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

bool isContinuation(std::string_view line) {
  return !line.empty() && (line.front() == ' ' || line.front() == '\t');
}

// Appends one line with a clean end; stray CR becomes a space, NUL a question mark.
void appendLine(std::string& out, std::string_view line) {
  const size_t start = out.size();
  out.append(line);
  std::replace(out.begin() + static_cast<ptrdiff_t>(start), out.end(), '\r', ' ');
  std::replace(out.begin() + static_cast<ptrdiff_t>(start), out.end(), '\0', '?');
  out.append("\r\n");
}

// All lines of `original`; nothing if one is too long or all are too many.
std::optional<std::string> wholeMessage(std::string_view original, size_t max_bytes) {
  if (original.size() > max_bytes) return std::nullopt;
  std::string out;
  out.reserve(original.size() + 16);
  while (!original.empty()) {
    const std::string_view line = takeLine(original);
    if (line.size() > kMaxLineBytes || out.size() + line.size() + 2 > max_bytes) {
      return std::nullopt;
    }
    appendLine(out, line);
  }
  return out;
}

// Appends a header line in pieces that are legal lines, the later ones as continuations.
void appendFolded(std::string& out, std::string_view line) {
  constexpr size_t kPiece = kMaxLineBytes - 8;
  while (line.size() > kMaxLineBytes) {
    appendLine(out, line.substr(0, kPiece));
    out.push_back(' ');
    line.remove_prefix(kPiece);
  }
  appendLine(out, line);
}

// The header section, cut in front of the first field that does not fit.
std::string headerSection(std::string_view original, bool complete, size_t max_bytes, bool& cut) {
  std::string out;
  size_t field_start = 0;
  while (!original.empty()) {
    const bool ended = complete || original.find('\n') != std::string_view::npos;
    const std::string_view line = takeLine(original);
    if (line.empty()) return out;
    if (!isContinuation(line)) field_start = out.size();
    if (out.size() + line.size() + line.size() / 256 + 16 > max_bytes || !ended) {
      out.resize(field_start);
      cut = true;
      return out;
    }
    appendFolded(out, line);
  }
  return out;
}

std::string headersType(std::string_view bytes, bool global) {
  if (global) return "message/global-headers";
  if (smtp::isAscii(bytes)) return "text/rfc822-headers";
  return smtp::isUtf8(bytes) ? "text/rfc822-headers; charset=utf-8"
                             : "text/rfc822-headers; charset=unknown-8bit";  // RFC 1428
}

}  // namespace

OriginalPart makeOriginalPart(std::string_view original, bool complete,
                              const OriginalLimits& limits) {
  OriginalPart part;
  if (!limits.headers_only && complete) {
    if (auto whole = wholeMessage(original, limits.max_bytes)) {
      part.content_type = limits.global ? "message/global" : "message/rfc822";
      part.bytes = std::move(*whole);
      part.whole = true;
      return part;
    }
  }
  part.bytes = headerSection(original, complete, limits.max_bytes, part.cut);
  part.content_type = headersType(part.bytes, limits.global);
  return part;
}

std::string headerField(std::string_view original, std::string_view name) {
  while (!original.empty()) {
    const std::string_view line = takeLine(original);
    if (line.empty()) break;
    if (line.size() <= name.size() || line[name.size()] != ':' ||
        !smtp::equalsIgnoringCase(line.substr(0, name.size()), name)) {
      continue;
    }
    std::string value(line.substr(name.size() + 1, kMaxFieldBytes));
    while (isContinuation(original) && value.size() < kMaxFieldBytes) {
      value.append(takeLine(original).substr(0, kMaxFieldBytes));
    }
    return value;
  }
  return {};
}

std::string saneMessageId(std::string_view original) {
  const std::string value = headerField(original, "Message-ID");
  const size_t start = value.find_first_not_of(" \t");
  if (start == std::string::npos) return {};
  const std::string id = value.substr(start, value.find_last_not_of(" \t") + 1 - start);
  const bool angled = id.size() >= 5 && id.front() == '<' && id.back() == '>';
  if (!angled || id.size() > kMaxMessageIdBytes) return {};
  const std::string_view inner = std::string_view(id).substr(1, id.size() - 2);
  const auto plain = [](char c) { return c > ' ' && c < 0x7f && c != '<' && c != '>'; };
  const size_t at = inner.find('@');
  if (at == 0 || at == std::string_view::npos || at + 1 == inner.size()) return {};
  return std::all_of(inner.begin(), inner.end(), plain) ? id : std::string();
}

}  // namespace sluice::relay
