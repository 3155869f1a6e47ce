// What does an OAuth 2 token endpoint answer (RFC 6749 section 5), and what is to be changed if it
// gives no token?
//
// Pure. What the endpoint says goes to logs and notices, so it is cut short and stripped of what is
// no plain text.
#pragma once

#include <chrono>
#include <string>

#include "net/base/result.h"
#include "net/http/http_answer.h"

namespace sluice::relay {

struct OAuthToken {
  std::string text;  // printable ASCII
  std::chrono::seconds lifetime{0};
};

inline constexpr std::chrono::seconds kUntoldTokenLifetime{300};  // if the endpoint does not say
inline constexpr std::chrono::seconds kMaxTokenLifetime{86'400};

// Errors: AuthFailed (it gives none: why, and which key of [[send]] to look at), Malformed.
Result<OAuthToken> readTokenAnswer(const net::HttpAnswer& answer);

}  // namespace sluice::relay
