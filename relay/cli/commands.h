// Every subcommand that main() offers; each is registered by one function in a file of its own.
//
// A function adds one subcommand (or a family that belongs together) to `app`: options, --help with
// an example in its footer, and a callback that runs it and sets context.exit_code.
#pragma once

#include "relay/cli/cli.h"

namespace sluice::relay {

void addServeCommand(CLI::App& app, CliContext& context);  // serve
void addCheckCommand(CLI::App& app, CliContext& context);  // check
// queue, message, retry, hold, release, bounce, discard, suspend, resume, track, explain, status,
// reload
void addQueueCommands(CLI::App& app, CliContext& context);
void addSpoolCommand(CLI::App& app, CliContext& context);     // spool check, spool export
void addPasswdCommand(CLI::App& app, CliContext& context);    // passwd
void addDkimCommand(CLI::App& app, CliContext& context);      // dkim keygen
void addDoctorCommand(CLI::App& app, CliContext& context);    // doctor
void addSendCommand(CLI::App& app, CliContext& context);      // send
void addSendmailCommand(CLI::App& app, CliContext& context);  // sendmail
void addSinkCommand(CLI::App& app, CliContext& context);      // sink
void addLoadCommand(CLI::App& app, CliContext& context);      // load
void addManualCommand(CLI::App& app, CliContext& context);    // manual; hidden

}  // namespace sluice::relay
