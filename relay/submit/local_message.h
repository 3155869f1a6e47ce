// A message as a program on this machine writes it to `sendmail`: made fit to be sent.
//
// Lines end as they like, an mbox "From " line may stand in front, Bcc may name recipients, and
// Date, From and Message-ID may be missing. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/base/clock.h"

namespace sluice::relay {

struct LocalMessageOptions {
  bool dot_ends = true;          // a line with a dot alone ends the message (not with -i)
  bool take_recipients = false;  // -t: those of To, Cc and Bcc
  std::string from;              // for a From field, if there is none
  std::string full_name;         // in front of it
  std::string hostname;          // for a Message-ID
  std::string unique;            // for a Message-ID
  WallTime now{};
};

struct LocalMessage {
  std::string content;  // lines end in CRLF; no Bcc if the recipients were taken
  std::vector<std::string>
      recipients;  // that the header names; with Resent- fields, those of these
  bool eight_bit = false;
  bool utf8_header = false;  // the header section is not ASCII: SMTPUTF8 is needed
};

LocalMessage readLocalMessage(std::string_view text, const LocalMessageOptions& options);

}  // namespace sluice::relay
