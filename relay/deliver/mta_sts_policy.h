// What do a domain's MTA-STS record and policy say (RFC 8461 section 3)?
//
// Pure. Both are written by strangers: whatever is not of the standard's form is no record and no
// policy, and every part has a bound.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/base/result.h"
#include "net/http/http_answer.h"
#include "relay/deliver/tls_policy_source.h"

namespace sluice::relay {

inline constexpr size_t kMaxPolicyBytes = 64 * 1024;              // RFC 8461 section 3.3
inline constexpr std::chrono::seconds kMaxPolicyAge{31'557'600};  // section 3.2: a year
inline constexpr size_t kMaxMxPatterns = 100;

struct MtaStsPolicy {
  DomainTlsPolicy::Mode mode = DomainTlsPolicy::Mode::None;
  std::vector<std::string> mx;  // lower case: "mx.example.net", "*.example.net"
  std::chrono::seconds max_age{0};
  std::vector<std::string> lines;  // version, mode, mx and max_age, as published
};

// The id of the one record among the TXT strings of _mta-sts.DOMAIN; nothing if there is none, or
// several, or if it is not of the right form (section 3.1).
std::optional<std::string> mtaStsId(const std::vector<std::string>& texts);

// Errors: Malformed, in words.
Result<MtaStsPolicy> parseMtaStsPolicy(std::string_view text);
// Errors: as above, and what else is no policy of a host: another status (redirects, too), another
// type, an end that nothing but the connection's end shows (section 3.3).
Result<MtaStsPolicy> readMtaStsAnswer(const net::HttpAnswer& answer);

}  // namespace sluice::relay
