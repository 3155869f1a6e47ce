#include "net/http/url.h"

namespace sluice::net {
namespace {

int hexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool isUnreserved(char c) {  // RFC 3986 section 2.3
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

// Takes what is before `separator` off the front of `text`.
std::string_view takeUntil(std::string_view& text, char separator) {
  const size_t end = text.find(separator);
  const std::string_view piece = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return piece;
}

}  // namespace

Result<std::string> percentDecode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '+' && plus_is_space) {
      c = ' ';
    } else if (c == '%') {
      const int high = i + 2 < text.size() ? hexValue(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hexValue(text[i + 2]) : -1;
      if (high < 0 || low < 0) return fail(Errc::Malformed, "bad percent escape in the URL");
      c = static_cast<char>(high << 4 | low);
      i += 2;
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      return fail(Errc::Malformed, "control character in the URL");
    }
    out += c;
  }
  return out;
}

std::string percentEncode(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (isUnreserved(c)) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
  }
  return out;
}

Result<std::vector<std::string>> splitPath(std::string_view path) {
  if (path.empty() || path[0] != '/')
    return fail(Errc::Malformed, "the path does not begin with /");
  path.remove_prefix(1);
  std::vector<std::string> segments;
  while (!path.empty()) {
    if (segments.size() >= kMaxPathSegments) return fail(Errc::TooLarge, "too many path segments");
    ASSIGN_OR_RETURN(auto segment, percentDecode(takeUntil(path, '/'), false));
    segments.push_back(std::move(segment));
  }
  return segments;
}

Result<QueryParameters> splitQuery(std::string_view query) {
  QueryParameters out;
  while (!query.empty()) {
    std::string_view value = takeUntil(query, '&');
    if (value.empty()) continue;
    if (out.size() >= kMaxQueryParameters) return fail(Errc::TooLarge, "too many query parameters");
    const std::string_view name = takeUntil(value, '=');
    ASSIGN_OR_RETURN(auto decoded_name, percentDecode(name, true));
    ASSIGN_OR_RETURN(auto decoded_value, percentDecode(value, true));
    out.emplace_back(std::move(decoded_name), std::move(decoded_value));
  }
  return out;
}

}  // namespace sluice::net
