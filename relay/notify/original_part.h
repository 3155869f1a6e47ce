// What a notice returns of the original message: all of it, or its header section.
//
// RFC 3461 section 4.3 (RET), RFC 6522 section 3 (text/rfc822-headers), RFC 6533 section 5 (the
// UTF-8 forms). Pure. The original comes from outside: its lines are made legal, nothing in it is
// believed.
#pragma once

#include <string>
#include <string_view>

namespace sluice::relay {

struct OriginalPart {
  std::string content_type;  // "message/rfc822", "text/rfc822-headers; charset=utf-8", ...
  std::string bytes;         // lines of at most 998 octets, each ended by CRLF
  bool whole = false;        // with its body
  bool cut = false;          // not even all of its header section
};

struct OriginalLimits {
  bool headers_only = false;
  bool global = false;  // the original used SMTPUTF8: message/global forms
  size_t max_bytes = 0;
};

// The third part. `complete` says whether `original` is all of the message. The whole is returned
// only if it is complete, fits, and has no line that no transport would take.
OriginalPart makeOriginalPart(std::string_view original, bool complete,
                              const OriginalLimits& limits);

// The value of the first header field of that name, unfolded; empty if there is none.
std::string headerField(std::string_view original, std::string_view name);

// "<left@right>" of the original, if it is one that may be repeated in our header; else empty.
std::string saneMessageId(std::string_view original);

}  // namespace sluice::relay
