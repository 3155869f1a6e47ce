// The command line as scripts see it: exit codes, help, versions.
#include "relay/cli/cli.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <vector>

#include "relay/cli/commands.h"

namespace sluice::relay {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

void addFailing(CLI::App& app, CliContext& context) {
  app.add_subcommand("fail", "Fails")->callback([&context] { context.exit_code = kExitFailed; });
}

struct Outcome {
  int exit_code;
  std::string out;
  std::string err;
};

Outcome run(std::vector<const char*> arguments) {
  std::ostringstream out, err;
  CliContext context{out, err};
  arguments.insert(arguments.begin(), "sluice");
  constexpr AddCommand kCommands[] = {addFailing, addCheckCommand};
  const int code = runCli(static_cast<int>(arguments.size()), arguments.data(), kCommands, context);
  return {code, out.str(), err.str()};
}

TEST(Cli, WrongUsageIsTwo) {
  EXPECT_EQ(run({}).exit_code, 2);
  EXPECT_EQ(run({"nonsense"}).exit_code, 2);
  EXPECT_EQ(run({"check", "--nonsense"}).exit_code, 2);
  EXPECT_EQ(run({"check", "--config"}).exit_code, 2);
  EXPECT_EQ(run({"check", "stray"}).exit_code, 2);
}

TEST(Cli, WrongUsageIsExplainedOnStandardError) {
  const Outcome outcome = run({"check", "--nonsense"});
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("--nonsense"));
}

TEST(Cli, ACommandsFailureIsOne) { EXPECT_EQ(run({"fail"}).exit_code, 1); }

TEST(Cli, HelpHasAnExample) {
  for (const auto& arguments : {std::vector<const char*>{"--help"}, {"check", "--help"}}) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_THAT(outcome.out, HasSubstr("Example: sluice "));
    EXPECT_THAT(outcome.out, HasSubstr("Exit codes: "));
  }
}

TEST(Cli, VersionNamesSluiceFirstAndThenItsLibraries) {
  const Outcome outcome = run({"--version"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.out, StartsWith("sluice 0."));
  for (const char* library : {"\nlibuv ", "\nBoringSSL ", "\nc-ares ", "\nRocksDB ", "\ntoml++ "}) {
    EXPECT_THAT(outcome.out, HasSubstr(library));
  }
}

}  // namespace
}  // namespace sluice::relay
