// XOAUTH2 (Google, Microsoft) and OAUTHBEARER (RFC 7628): a token instead of a password, client
// side. Messages here are what is inside the base64. No I/O.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::sasl {

std::string writeXOAuth2(std::string_view user, std::string_view token);
std::string writeOAuthBearer(std::string_view user, std::string_view host, uint16_t port,
                             std::string_view token);

// The answer to the error that a server gives as a challenge: it wants one before its 535.
inline constexpr std::string_view kXOAuth2Resignation = "";
inline constexpr std::string_view kOAuthBearerResignation = "\x01";  // RFC 7628 section 3.2.3

}  // namespace sluice::sasl
