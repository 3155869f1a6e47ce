// What does the answer of a host to a probe mean for mail that would go there? Pure.
#pragma once

#include <string>

#include "relay/doctor/findings.h"
#include "relay/doctor/smtp_probe.h"

namespace sluice::relay {

struct HostJudgement {
  std::string subject;        // "mx.example.net [192.0.2.1:25]"
  bool alternatives = false;  // another host of the same destination takes mail
};

// Findings about connection, greeting, TLS, certificate and log-in, under `check`.
void judgeHost(std::string_view check, const ProbeTarget& target, const ProbeResult& result,
               const HostJudgement& about, Findings& findings);

// Whether mail would be given to the host as it answers: also its certificate is right where that
// is demanded.
bool takesMail(const ProbeTarget& target, const ProbeResult& result);

// The last two labels: nearly the domain that was registered, and all that is compared.
std::string_view baseDomain(std::string_view host);

// Does the greeting look as if the host itself gave it? Bannered boxes on the way do not.
bool greetsAsItself(const ProbeTarget& target, const ProbeResult& result);

}  // namespace sluice::relay
