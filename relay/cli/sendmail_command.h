// sluice sendmail, and the program called sendmail: a drop-in for /usr/sbin/sendmail.
#pragma once

#include <iosfwd>
#include <span>

#include "relay/cli/cli.h"

namespace sluice::relay {

// What stands behind the name if this process was called as sendmail: through a link of that name,
// or as "sluice sendmail" without --help. Else nothing.
std::optional<std::span<const char* const>> calledAsSendmail(int argc, const char* const* argv);

// Takes the message from standard input and hands it to this machine's relay. Gives one of
// sysexits.h: 0, 64 usage, 65 content, 67 a recipient was refused, 69 all was, 75 try again.
int runSendmail(std::span<const char* const> arguments, CliContext& context);

}  // namespace sluice::relay
