// Enhanced status codes: 4.7.1 as a value.
//
// Form and meaning: RFC 3463 section 2 and RFC 5248. Values only, no I/O.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::smtp {

struct EnhancedStatusCode {
  uint8_t status_class = 0;  // 2 success, 4 persistent transient failure, 5 permanent failure
  uint16_t subject = 0;      // 0..999
  uint16_t detail = 0;       // 0..999

  bool permanent() const { return status_class == 5; }
  std::string toString() const;
  auto operator<=>(const EnhancedStatusCode&) const = default;
};

// The whole of `text` as a code; nothing if it is anything else.
std::optional<EnhancedStatusCode> parseStatusCode(std::string_view text);

// Takes a code and the white space behind it off the front of a reply's text. Leaves `text` alone
// if it does not begin with a code that ends there or at a space.
std::optional<EnhancedStatusCode> takeStatusCode(std::string_view& text);

// Appends "4.7.1".
void appendTo(std::string& out, const EnhancedStatusCode& status);

}  // namespace sluice::smtp
