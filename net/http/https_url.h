// An https URL taken apart: which host, which port, what to ask it for (RFC 9110 section 4.2.2).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/base/result.h"

namespace sluice::net {

struct HttpsUrl {
  std::string host;  // a host name in lower case, or an IP address without brackets
  uint16_t port = 443;
  std::string target = "/";  // path and query, as they go into the request

  // Errors: Malformed, in words. No user information, no fragment, nothing but printable ASCII.
  static Result<HttpsUrl> parse(std::string_view text);
  // "mta-sts.example.com", "[2001:db8::1]:8443": as the Host header has it.
  std::string authority() const;
  std::string toString() const { return "https://" + authority() + target; }
};

}  // namespace sluice::net
