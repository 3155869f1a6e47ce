// What do the replies to a transaction, or the way it broke, mean for each recipient?
//
// Pure. RFC 5321 section 4.2.1 (classes of replies), 4.5.3.1.10 (too many recipients), 4.5.3.2.6
// (no answer to the final dot); enhanced codes: RFC 3463.
#pragma once

#include <optional>
#include <string>

#include "net/base/result.h"
#include "net/smtp/client_transaction.h"

namespace sluice::relay {

struct Verdict {
  enum class Kind : uint8_t {
    Delivered,
    Deferred,
    Bounced,
    Again,  // not tried, through no fault of its own: at once, on another connection
  } kind = Kind::Again;
  int code = 0;            // the reply's, 0 if none came
  std::string status;      // "4.7.1"
  std::string text;        // the reply's text, or our own words
  bool from_peer = false;  // text is the far end's
  std::string said;        // then: the reply as it was given, "550 5.1.1 no such user" or "550 no"
  bool ambiguous = false;  // the content was sent whole and no answer came
};

// How a transaction ended without all its replies.
struct Break {
  Error why;
  bool reused_connection = false;  // the connection had carried another one to its end before
  bool oldest = true;              // it was this transaction's turn to be answered
  bool goodbye = false;            // by a 421: what it had not answered before, it has not taken
};

// CHUNKING was offered, but BDAT is no command that the server knows: the message itself was not
// judged.
bool chunkingRefused(const smtp::ClientTransaction& transaction);
// PIPELINING was offered, but the replies to a group are those of a server that lost a part of it.
bool pipeliningRefused(const smtp::ClientTransaction& transaction);

Verdict judge(const smtp::ClientTransaction& transaction, size_t recipient);
Verdict judgeBroken(const smtp::ClientTransaction& transaction, size_t recipient, const Break& how);

// No host could be reached, or the look-up failed: temporary or permanent by the error's code.
Verdict judgeUnreachable(const Error& why);

// What a message needs and the host lacks; nothing if it can be sent (RFC 6152, RFC 6531).
std::optional<Verdict> judgeOffer(const smtp::ClientTransaction& transaction,
                                  const smtp::ServerOffer& offer);

// For a reply without an enhanced code: "5.0.0" of its class.
std::string statusOf(const smtp::Reply& reply);

}  // namespace sluice::relay
