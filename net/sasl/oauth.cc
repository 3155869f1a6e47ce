#include "net/sasl/oauth.h"

namespace sluice::sasl {
namespace {

// RFC 7628 section 3.1 by way of RFC 5801: as SCRAM writes names.
std::string gs2Name(std::string_view name) {
  std::string text;
  for (const char c : name) {
    if (c == ',') {
      text += "=2C";
    } else if (c == '=') {
      text += "=3D";
    } else {
      text += c;
    }
  }
  return text;
}

}  // namespace

std::string writeXOAuth2(std::string_view user, std::string_view token) {
  std::string message = "user=";
  return message.append(user)
      .append(
          "\x01"
          "auth=Bearer ")
      .append(token)
      .append("\x01\x01");
}

std::string writeOAuthBearer(std::string_view user, std::string_view host, uint16_t port,
                             std::string_view token) {
  std::string message = "n,a=" + gs2Name(user) + ",\x01host=";
  message.append(host).append("\x01port=").append(std::to_string(port));
  return message
      .append(
          "\x01"
          "auth=Bearer ")
      .append(token)
      .append("\x01\x01");
}

}  // namespace sluice::sasl
