// Whom do the address fields of a header section name (RFC 5322 section 3.4)?
//
// Pure; the values come from anyone. What cannot be understood is passed over, for SMTP judges each
// mailbox anyway.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sluice::relay {

inline constexpr size_t kMaxListedMailboxes = 10'000;

// The mailboxes in the value of To, Cc, Bcc or From: display names, comments, groups and obsolete
// routes left out, quoted local parts kept as they are. A name without '@' is given as it is.
std::vector<std::string> mailboxesIn(std::string_view value);

}  // namespace sluice::relay
