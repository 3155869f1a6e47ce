// The parts of addQueueCommands(), by what they are about.
#pragma once

#include <string>

#include "relay/cli/cli.h"

namespace sluice::relay {

void addMessageCommand(CLI::App& app, CliContext& context);  // message list, show, content
void addActionCommands(CLI::App& app, CliContext& context);  // retry hold release bounce discard
void addStatusCommands(CLI::App& app, CliContext& context);  // status, reload

// The filters that commands on messages share.
struct MessageFilterOptions {
  std::string destination, sender, recipient, state, older_than;
  size_t limit = 0;  // 0: not given
  bool any() const {
    return !destination.empty() || !sender.empty() || !recipient.empty() || !state.empty() ||
           !older_than.empty();
  }
};
void addFilterOptions(CLI::App& command, MessageFilterOptions& filters);

}  // namespace sluice::relay
