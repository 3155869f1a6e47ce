// Picks the subcommand; see relay/cli.
#include <iostream>

#include "relay/cli/commands.h"
#include "relay/cli/sendmail_command.h"

int main(int argc, char** argv) {
  using namespace sluice::relay;
  constexpr AddCommand kCommands[] = {addServeCommand,  addCheckCommand,  addQueueCommands,
                                      addSpoolCommand,  addPasswdCommand, addDkimCommand,
                                      addDoctorCommand, addSendCommand,   addSendmailCommand,
                                      addSinkCommand,   addLoadCommand,   addManualCommand};
  CliContext context{std::cout, std::cerr};
  if (const auto arguments = calledAsSendmail(argc, argv)) return runSendmail(*arguments, context);
  return runCli(argc, argv, kCommands, context);
}
