// sluice manual: writes the man pages. Hidden from --help: it serves builds and packages.
#include <fstream>
#include <memory>
#include <ostream>

#include "relay/cli/commands.h"
#include "relay/cli/manual.h"
#include "relay/config/build_version.h"

namespace sluice::relay {
namespace {

struct Options {
  std::string directory;
  bool markdown = false;
};

int writePages(CliContext& context, const CLI::App& app, const std::string& directory) {
  for (const ManPage& page : manPages(app, std::string(sluiceVersion()))) {
    const std::string path = directory + "/" + page.file;
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << page.text << std::flush;
    if (!file) {
      context.err << "sluice manual: cannot write " << path << '\n';
      return kExitFailed;
    }
  }
  return kExitOk;
}

}  // namespace

void addManualCommand(CLI::App& app, CliContext& context) {
  CLI::App* command = app.add_subcommand("manual", "Write the man pages of all commands");
  command->group("");
  command->footer("Example: sluice manual --directory /usr/local/share/man/man1");
  const auto options = std::make_shared<Options>();
  auto* directory = command->add_option("--directory", options->directory, "Where to write them")
                        ->type_name("DIR");
  auto* markdown = command->add_flag("--markdown", options->markdown,
                                     "Print docs/commands.md on standard output");
  directory->excludes(markdown);
  command->callback([&app, &context, options] {
    if (!options->directory.empty()) {
      context.exit_code = writePages(context, app, options->directory);
    } else if (options->markdown) {
      context.out << commandsPage(app);
    } else {
      for (const ManPage& page : manPages(app, std::string(sluiceVersion()))) {
        context.out << page.text;
      }
    }
  });
}

}  // namespace sluice::relay
