// How the reply to EHLO is written.
#include "net/smtp/extensions.h"

namespace sluice::smtp {

void appendEhloReply(std::string& out, std::string_view hostname, const OfferedExtensions& offer) {
  out.append("250-").append(hostname).append("\r\n250-PIPELINING\r\n250-SIZE");
  if (offer.max_message_bytes > 0) out.append(" ").append(std::to_string(offer.max_message_bytes));
  out.append("\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250-CHUNKING\r\n");
  if (offer.starttls) out.append("250-STARTTLS\r\n");
  if (offer.require_tls) out.append("250-REQUIRETLS\r\n");
  if (!offer.auth_mechanisms.empty()) {
    out.append("250-AUTH ").append(offer.auth_mechanisms).append("\r\n");
  }
  if (offer.xclient) {
    out.append("250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\r\n");
  }
  out.append("250-HELP\r\n250 ENHANCEDSTATUSCODES\r\n");
}

}  // namespace sluice::smtp
