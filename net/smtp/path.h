// Reverse-paths, forward-paths and domains as they are written in SMTP.
//
// Strictly RFC 5321 section 4.1.2 (and RFC 6531 section 3.3 where SMTPUTF8 is asked for), but for
// underscores in domains, which exist. Source routes are refused. What looks like a route inside a
// local part (`u%d@relay`, `d!u@relay`, `"u@d"@relay`) is that local part and nothing else. Values
// only, no I/O; a Path views the bytes that it was read from.
#pragma once

#include <string>
#include <string_view>

#include "net/base/result.h"

namespace sluice::smtp {

// RFC 5321 section 4.5.3.1.1 to 4.5.3.1.3, in octets.
inline constexpr size_t kMaxLocalPartBytes = 64;
inline constexpr size_t kMaxDomainBytes = 255;
inline constexpr size_t kMaxPathBytes = 256;  // with its angle brackets

struct Path {
  std::string_view mailbox;     // local-part@domain as written, no angle brackets; empty for <>
  std::string_view local_part;  // as written, quotes kept
  std::string_view domain;      // as written, a literal with its brackets; empty for <postmaster>
  bool address_literal = false;

  bool null() const { return mailbox.empty(); }                     // <>
  bool bare() const { return domain.empty() && !mailbox.empty(); }  // <postmaster>
};

// Takes "<...>" off the front of `text` (what follows is the caller's to judge).
// Errors: Malformed (also source routes, control characters, and 8-bit without `smtputf8`),
// TooLarge. The detail is fit for a reply: it quotes nothing from outside.
Result<Path> takeReversePath(std::string_view& text, bool smtputf8);  // <> or <mailbox>
Result<Path> takeForwardPath(std::string_view& text, bool smtputf8);  // <mailbox> or <postmaster>

// The whole of `text` as local-part@domain, as it stands in a Path or an Envelope.
Result<Path> parseMailbox(std::string_view text, bool smtputf8);

// The domain of a mailbox that was parsed before: what is behind its last '@'; empty if none.
std::string_view domainOf(std::string_view mailbox);

// What domains are compared by: lower-case A-labels without a dot at the end; "[192.0.2.1]" or
// "[2001:db8::1]" for address literals. Errors: Malformed (no domain, or no valid U-labels).
Result<std::string> domainKey(std::string_view domain);

// Well-formed UTF-8 without overlong forms and surrogates (RFC 3629).
bool isUtf8(std::string_view text);
bool isAscii(std::string_view text);
std::string toLowerAscii(std::string_view text);                  // A-Z only, whatever the locale
bool equalsIgnoringCase(std::string_view a, std::string_view b);  // ASCII only

}  // namespace sluice::smtp
