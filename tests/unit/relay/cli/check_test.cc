// sluice check: what a deployment script sees of a configuration.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <vector>

#include "relay/cli/commands.h"

namespace sluice::relay {
namespace {

using testing::HasSubstr;

struct Outcome {
  int exit_code;
  std::string out;
  std::string err;
};

// Runs `sluice check` with a configuration of this text as "a.toml".
Outcome check(const std::string& text, std::vector<const char*> arguments = {}) {
  std::ostringstream out, err;
  CliContext context{out, err};
  context.read_config = [&](const std::string& path) {
    EXPECT_EQ(path, "a.toml");
    return parseConfig(text, path);
  };
  std::vector<const char*> all{"sluice", "check", "--config", "a.toml"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  constexpr AddCommand kCommands[] = {addCheckCommand};
  const int code = runCli(static_cast<int>(all.size()), all.data(), kCommands, context);
  return {code, out.str(), err.str()};
}

TEST(Check, SaysOkOfAConfigurationWithoutMistakes) {
  const Outcome outcome = check("shards = 1\n");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.out, "a.toml: ok\n");
  EXPECT_EQ(outcome.err, "");
}

TEST(Check, PrintsEveryMistakeWithItsPlaceAndFails) {
  const Outcome outcome = check("shards = -1\nnonsense = 1\n", {"--print"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err,
            "a.toml:1:10: shards: -1 is not from 0 to 256\n"
            "a.toml:2:1: nonsense: unknown key\n");
}

TEST(Check, PrintsTheWholeConfigurationAndNothingElse) {
  const Outcome outcome = check("[admin]\ntoken = \"hunter2\"\n", {"--print"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.out, HasSubstr("final_reply_timeout = \"10m\""));
  EXPECT_THAT(outcome.out, HasSubstr("token = \"********\""));
  EXPECT_TRUE(parseConfig(outcome.out, "printed").ok());
}

TEST(Check, ReadsTheFileThatIsNamed) {
  std::ostringstream out, err;
  CliContext context{out, err};
  const char* arguments[] = {"sluice", "check", "--config", "/nonexistent/a.toml"};
  constexpr AddCommand kCommands[] = {addCheckCommand};
  EXPECT_EQ(runCli(4, arguments, kCommands, context), 1);
  EXPECT_THAT(err.str(), HasSubstr("/nonexistent/a.toml: cannot read"));
}

}  // namespace
}  // namespace sluice::relay
