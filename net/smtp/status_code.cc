// How an enhanced status code is read and written.
#include "net/smtp/status_code.h"

#include <charconv>

namespace sluice::smtp {
namespace {

// One to three digits without a needless zero in front (RFC 3463 section 2).
bool takeNumber(std::string_view& text, uint16_t& value) {
  size_t digits = 0;
  unsigned number = 0;
  while (digits < text.size() && digits < 3 && text[digits] >= '0' && text[digits] <= '9') {
    number = number * 10 + static_cast<unsigned>(text[digits] - '0');
    ++digits;
  }
  if (digits == 0 || (digits > 1 && text[0] == '0')) return false;
  value = static_cast<uint16_t>(number);
  text.remove_prefix(digits);
  return true;
}

bool takeDot(std::string_view& text) {
  if (text.empty() || text[0] != '.') return false;
  text.remove_prefix(1);
  return true;
}

std::optional<EnhancedStatusCode> takeCode(std::string_view& text) {
  if (text.empty() || (text[0] != '2' && text[0] != '4' && text[0] != '5')) return std::nullopt;
  EnhancedStatusCode code;
  code.status_class = static_cast<uint8_t>(text[0] - '0');
  text.remove_prefix(1);
  if (!takeDot(text) || !takeNumber(text, code.subject)) return std::nullopt;
  if (!takeDot(text) || !takeNumber(text, code.detail)) return std::nullopt;
  return code;
}

void appendNumber(std::string& out, unsigned number) {
  char digits[8];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, end);
}

}  // namespace

std::optional<EnhancedStatusCode> parseStatusCode(std::string_view text) {
  const auto code = takeCode(text);
  if (!text.empty()) return std::nullopt;
  return code;
}

std::optional<EnhancedStatusCode> takeStatusCode(std::string_view& text) {
  std::string_view rest = text;
  const auto code = takeCode(rest);
  if (!code || (!rest.empty() && rest[0] != ' ' && rest[0] != '\t')) return std::nullopt;
  const size_t start = rest.find_first_not_of(" \t");
  text = start == std::string_view::npos ? std::string_view() : rest.substr(start);
  return code;
}

void appendTo(std::string& out, const EnhancedStatusCode& status) {
  appendNumber(out, status.status_class);
  out.push_back('.');
  appendNumber(out, status.subject);
  out.push_back('.');
  appendNumber(out, status.detail);
}

std::string EnhancedStatusCode::toString() const {
  std::string out;
  appendTo(out, *this);
  return out;
}

}  // namespace sluice::smtp
