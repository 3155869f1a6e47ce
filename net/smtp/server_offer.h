// What a server offered in its reply to EHLO (RFC 5321 section 4.1.1.1).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/smtp/reply.h"

namespace sluice::smtp {

struct ServerOffer {
  bool esmtp = false;  // EHLO was taken; else HELO
  std::string name;    // what the server calls itself, first word of its reply; hostile
  bool pipelining = false;
  bool eight_bit_mime = false;
  bool smtputf8 = false;
  bool dsn = false;
  bool chunking = false;
  bool starttls = false;
  bool require_tls = false;  // RFC 8689
  bool size = false;
  std::optional<uint64_t> max_size;  // RFC 1870: none, or 0, is no fixed limit
  std::optional<uint32_t> rcpt_max;  // RFC 9422 LIMITS
  std::optional<uint32_t> mail_max;
  std::vector<std::string> auth;  // mechanisms, upper case
};

// Unknown, repeated and nonsensical keywords are passed over.
ServerOffer readOffer(const Reply& ehlo_reply);

}  // namespace sluice::smtp
