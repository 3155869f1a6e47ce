// PLAIN (RFC 4616) and LOGIN: a password that is said as it is.
//
// LOGIN has no standard; Outlook and many devices know no other. Messages here are what is inside
// the base64. No I/O.
#pragma once

#include <string>
#include <string_view>

#include "net/base/result.h"

namespace sluice::sasl {

inline constexpr size_t kMaxUserBytes = 255;
inline constexpr size_t kMaxPasswordBytes = 1024;

struct PasswordClaim {
  std::string user;
  std::string password;
};

// What LOGIN asks, in this order.
inline constexpr std::string_view kLoginUserPrompt = "Username:";
inline constexpr std::string_view kLoginPasswordPrompt = "Password:";

// Not empty, not too long, no control characters.
bool isUserName(std::string_view name);
bool isPassword(std::string_view password);

// [authzid] NUL authcid NUL password. Errors: Malformed (its form), Refused (to act as another).
Result<PasswordClaim> readPlain(std::string_view message);
std::string writePlain(std::string_view user, std::string_view password);

}  // namespace sluice::sasl
