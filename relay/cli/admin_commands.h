// The parts of addQueueCommands(), by what they are about.
#pragma once

#include <algorithm>
#include <map>
#include <string>

#include "relay/cli/cli.h"

namespace sluice::relay {

void addMessageCommand(CLI::App& app, CliContext& context);  // message list, show, content
void addActionCommands(CLI::App& app,
                       CliContext& context);  // retry hold release bounce discard expire redirect
void addTrackCommand(CLI::App& app, CliContext& context);    // track
void addExplainCommand(CLI::App& app, CliContext& context);  // explain
void addStatusCommands(CLI::App& app, CliContext& context);  // status, reload

// The filters that commands on messages share.
struct MessageFilterOptions {
  std::map<std::string, std::string> values;  // by the API's names; empty: not given
  size_t limit = 0;                           // 0: not given
  bool any() const {
    return std::any_of(values.begin(), values.end(),
                       [](const auto& value) { return !value.second.empty(); });
  }
};
void addFilterOptions(CLI::App& command, MessageFilterOptions& filters);

}  // namespace sluice::relay
