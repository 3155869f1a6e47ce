// The command line of /usr/sbin/sendmail, as programs have used it for forty years.
//
// Options stand alone or together with their values ("-oi", "-fann@example.com", "-f ann@…"). Those
// of other mailers' queues and debugging are taken and change nothing. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/base/result.h"

namespace sluice::relay {

struct SendmailArguments {
  enum class Mode : uint8_t {
    Deliver,  // a message on standard input
    Smtp,     // -bs: a dialogue on standard input and output
    Nothing,  // -q, -bi: for a queue and a table that others keep
  } mode = Mode::Deliver;
  bool take_recipients = false;  // -t
  bool dot_ends = true;          // not with -i, -oi
  bool has_sender = false;       // -f, -r
  std::string sender;            // as given
  std::string full_name;         // -F
  std::string notify;            // -N, in capitals; empty: not said
  std::string ret;               // -R: "FULL" or "HDRS"; empty: not said
  std::string envid;             // -V
  std::string relay;             // --relay
  std::string config_path;       // --config
  std::vector<std::string> recipients;
};

// Of what stands behind the program's name. Errors: InvalidArgument, in words.
Result<SendmailArguments> parseSendmail(std::span<const char* const> arguments);

}  // namespace sluice::relay
