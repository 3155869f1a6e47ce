#include "net/sasl/plain.h"

#include <algorithm>

namespace sluice::sasl {
namespace {

bool hasControls(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

}  // namespace

bool isUserName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxUserBytes && !hasControls(name);
}

bool isPassword(std::string_view password) {
  return !password.empty() && password.size() <= kMaxPasswordBytes && !hasControls(password);
}

Result<PasswordClaim> readPlain(std::string_view message) {
  const size_t first = message.find('\0');
  const size_t second = first == message.npos ? first : message.find('\0', first + 1);
  if (second == message.npos || message.find('\0', second + 1) != message.npos) {
    return fail(Errc::Malformed, "not authzid NUL authcid NUL password");
  }
  const std::string_view authzid = message.substr(0, first);
  const std::string_view user = message.substr(first + 1, second - first - 1);
  const std::string_view password = message.substr(second + 1);
  if (!isUserName(user) || !isPassword(password)) {
    return fail(Errc::Malformed, "no user, no password, or control characters in them");
  }
  if (!authzid.empty() && authzid != user) return fail(Errc::Refused, "nobody acts as another");
  return PasswordClaim{std::string(user), std::string(password)};
}

std::string writePlain(std::string_view user, std::string_view password) {
  std::string message(1, '\0');
  message.append(user).push_back('\0');
  message.append(password);
  return message;
}

}  // namespace sluice::sasl
