#include "relay/deliver/configuration_fault.h"

#include <algorithm>
#include <array>

#include "relay/notify/explain.h"

namespace sluice::relay {
namespace {

// RFC 4954 section 6 and RFC 3207: AUTH or TLS is wanted, the mechanism is too weak, the
// credentials are wrong.
constexpr std::array kCodes{530, 534, 535, 538};
constexpr std::array<std::string_view, 3> kStatuses{
    "5.7.8",    // RFC 4954: credentials
    "5.7.57",   // Exchange Online: AUTH is wanted
    "5.7.64"};  // Exchange Online: TenantAttribution, no connector knows us
// Exchange Online: no passwords any more. RFC 8689 uses the same code for REQUIRETLS.
constexpr std::string_view kBasicAuthOff = "5.7.30";

}  // namespace

std::string_view configurationFault(const smtp::Reply& reply) {
  if (!reply.permanent()) return {};
  const std::string status = reply.status ? reply.status->toString() : std::string();
  const bool ours =
      std::find(kCodes.begin(), kCodes.end(), reply.code) != kCodes.end() ||
      std::find(kStatuses.begin(), kStatuses.end(), status) != kStatuses.end() ||
      (status == kBasicAuthOff && reply.text.find("uthentication") != std::string::npos);
  return ours ? explain(status, reply.toString()).advice : std::string_view();
}

}  // namespace sluice::relay
