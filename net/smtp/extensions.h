// What we offer in our reply to EHLO (RFC 5321 section 4.1.1.1), and how that reply is written.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::smtp {

// PIPELINING, 8BITMIME, SMTPUTF8, DSN, CHUNKING, ENHANCEDSTATUSCODES and HELP are always offered.
struct OfferedExtensions {
  uint64_t max_message_bytes = 0;    // SIZE (RFC 1870); 0 is no fixed limit
  bool starttls = false;             // RFC 3207: not any more once TLS is on
  bool require_tls = false;          // RFC 8689: under TLS only
  std::string_view auth_mechanisms;  // "PLAIN LOGIN" (RFC 4954); empty: no AUTH
  bool xclient = false;              // as Postfix has it
};

// Appends the whole multi-line 250.
void appendEhloReply(std::string& out, std::string_view hostname, const OfferedExtensions& offer);

}  // namespace sluice::smtp
