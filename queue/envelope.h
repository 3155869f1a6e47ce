// The envelope of a message: its paths and their parameters, as accepted. Never changes afterwards;
// what becomes of each recipient is RecipientGroup's and the schedule's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "net/base/clock.h"

namespace sluice::queue {

enum class BodyType : uint8_t { SevenBit, EightBitMime };  // RFC 6152
enum class Ret : uint8_t { Unset, Full, Headers };         // RFC 3461 section 4.3

// RFC 3461 section 4.1. Unset lets the default rule: FAILURE, and DELAY as the relay decides.
struct Notify {
  bool set = false;
  bool never = false;
  bool success = false;
  bool failure = false;
  bool delay = false;
};

struct Recipient {
  std::string forward_path;  // local-part@domain as received, domain's case kept; no angle brackets
  Notify notify;
  std::string orcpt;  // still xtext-encoded, "rfc822;user@example.com"; empty if none
};

struct Envelope {
  std::string reverse_path;  // empty: <>
  BodyType body = BodyType::SevenBit;
  bool smtputf8 = false;
  Ret ret = Ret::Unset;
  std::string envid;  // still xtext-encoded
  // RFC 8689: to be sent under verified TLS only, to hosts that pass the demand on (REQUIRETLS); or
  // rather in clear than not at all (TLS-Required: No). Never both.
  bool require_tls = false;
  bool tls_optional = false;
  std::vector<Recipient> recipients;

  // Where it came from, for the log and the administrator.
  std::string receive_connector;  // empty for our own notices
  std::string client;             // address of the client
  WallTime received_at{};
  uint64_t content_bytes = 0;  // with our Received field and the fields below

  // Header fields of ours that stand in front of the content, each with its CRLF. They are known
  // only when all of the content is (signatures over it), and some of that may be on disk by then.
  std::string front_fields;
  // Notices about this message must not be sent: it is one itself (reverse-path <>), or is ours.
};

}  // namespace sluice::queue
