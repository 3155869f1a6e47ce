// The manual of the commands, made of what --help knows: as man pages and as one Markdown page.
#pragma once

#include <string>
#include <vector>

#include "relay/cli/cli.h"

namespace sluice::relay {

struct ManPage {
  std::string file;  // "sluice-queue.1"
  std::string text;  // roff, man(7)
};

// The program's page and one for each command that --help shows; subcommands of a command are in
// its page.
std::vector<ManPage> manPages(const CLI::App& app, const std::string& version);

// docs/commands.md.
std::string commandsPage(const CLI::App& app);

}  // namespace sluice::relay
