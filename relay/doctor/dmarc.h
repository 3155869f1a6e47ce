// Which DMARC policy holds for a domain (RFC 7489), and what it asks of SPF and DKIM?
#pragma once

#include <string>
#include <string_view>

#include "relay/doctor/name_service.h"

namespace sluice::relay {

struct DmarcPolicy {
  std::string domain;  // whose record it is: the domain itself or one above
  std::string policy;  // what is asked for this domain: "none", "quarantine", "reject"
  bool strict_dkim = false;
  bool strict_spf = false;
  bool reports = false;  // rua is there
};

// Looks at the domain, then at those above it up to two labels. Errors: NotFound (none has a
// record), Malformed (a record that readers ignore), or what the DNS says.
Result<DmarcPolicy> dmarcOf(NameService& names, const std::string& domain);

// Whether a signature by `signer` is aligned with the author's domain (section 3.1.1). Relaxed: one
// of the two is the other or lies above it.
bool isAligned(std::string_view author, std::string_view signer, bool strict);

}  // namespace sluice::relay
