// Picks the subcommand; see relay/cli.
#include <iostream>

#include "relay/cli/commands.h"

int main(int argc, char** argv) {
  using namespace sluice::relay;
  constexpr AddCommand kCommands[] = {addServeCommand,  addCheckCommand,  addQueueCommands,
                                      addSpoolCommand,  addPasswdCommand, addDkimCommand,
                                      addDoctorCommand, addSinkCommand,   addLoadCommand,
                                      addManualCommand};
  CliContext context{std::cout, std::cerr};
  return runCli(argc, argv, kCommands, context);
}
