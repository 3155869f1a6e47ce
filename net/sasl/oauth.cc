#include "net/sasl/oauth.h"

#include "net/sasl/scram_sha_256.h"

namespace sluice::sasl {

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
  std::string message = "n,a=" + writeSaslName(user) + ",\x01host=";
  message.append(host).append("\x01port=").append(std::to_string(port));
  return message
      .append(
          "\x01"
          "auth=Bearer ")
      .append(token)
      .append("\x01\x01");
}

}  // namespace sluice::sasl
