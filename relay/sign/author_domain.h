// The domain that a From field names as the author's: whose signature a message should bear.
#pragma once

#include <string>
#include <string_view>

#include "net/base/result.h"

namespace sluice::relay {

// Of the first mailbox in the value of a From field (RFC 5322 section 3.4, with comments, quoted
// strings and the obsolete forms), as net/smtp's domainKey() writes it. Pure; the value is hostile.
// Errors: Malformed (no mailbox with a domain).
Result<std::string> authorDomain(std::string_view from);

}  // namespace sluice::relay
