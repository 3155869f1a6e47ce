// The Received field that we put in front of every message we accept.
//
// Form: RFC 5321 section 4.4; the "with" keywords: RFC 3848 and RFC 6531 section 4.3. Pure. What
// the client called itself is cleaned, so that it can add no field and no structure.
#pragma once

#include <string>
#include <string_view>

#include "net/base/clock.h"
#include "net/base/ip_address.h"

namespace sluice::relay {

struct TraceInfo {
  std::string_view hello;  // what the client said behind EHLO or HELO; hostile
  bool extended = true;    // EHLO
  bool tls = false;
  std::string_view tls_version;  // "TLSv1.3"; with its cipher, if known
  std::string_view tls_cipher;
  bool authenticated = false;
  bool smtputf8 = false;
  IpAddress client;              // all zero: not known
  std::string_view client_name;  // its host name, if a proxy said so
  std::string_view hostname;     // ours
  std::string_view id;
  std::string_view only_recipient;  // empty unless there is just one
  WallTime at{};
};

// Appends the field, folded, with its CRLF.
void appendReceived(std::string& out, const TraceInfo& info);

// The client's name with everything but letters, digits and ".-_:[]" replaced; bounded.
void appendCleanName(std::string& out, std::string_view hello);

// "[192.0.2.1]", "[IPv6:2001:db8::1]" (RFC 5321 section 4.1.3).
void appendAddressLiteral(std::string& out, const IpAddress& address);

}  // namespace sluice::relay
