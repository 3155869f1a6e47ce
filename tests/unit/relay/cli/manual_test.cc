// The manual says what --help says, in a form that man and Markdown readers take.
#include "relay/cli/manual.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::relay {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

struct Program {
  Program() {
    CLI::App* push = app.add_subcommand("push", "Move things");
    push->add_option("--to,-t", to, "Where to | or not")->type_name("PLACE")->capture_default_str();
    push->add_option("THING", things, "What to move")->required();
    push->footer(".begins with a dot\nExample: sluice push 'it' --to x\\y");
    push->add_subcommand("back", "The other way");
    app.add_subcommand("secret", "Not for --help")->group("");
  }
  std::string to = "here";
  std::vector<std::string> things;
  CLI::App app{"A program", "sluice"};
};

std::string pageOf(const Program& program, const std::string& file) {
  for (const ManPage& page : manPages(program.app, "1.2.3")) {
    if (page.file == file) return page.text;
  }
  return "no " + file;
}

TEST(Manual, HasAPageForEachCommandThatHelpShows) {
  const auto pages = manPages(Program().app, "1.2.3");
  ASSERT_EQ(pages.size(), 2u);
  EXPECT_EQ(pages[0].file, "sluice.1");
  EXPECT_EQ(pages[1].file, "sluice-push.1");
  EXPECT_THAT(pages[0].text, AllOf(HasSubstr(".BR sluice\\-push (1)"), Not(HasSubstr("secret"))));
}

TEST(Manual, APageHasOptionsWithTheirDefaultsAndArgumentsAndSubcommands) {
  const std::string page = pageOf(Program(), "sluice-push.1");
  EXPECT_THAT(page, HasSubstr(".TH \"SLUICE\\-PUSH\" 1 \"\" \"Sluice 1.2.3\" \"Sluice\""));
  EXPECT_THAT(page, HasSubstr("sluice\\-push \\- Move things"));
  EXPECT_THAT(page, HasSubstr(".B \"sluice push [OPTIONS] THING... SUBCOMMAND\""));
  EXPECT_THAT(page, HasSubstr("PLACE\"\nWhere to | or not (default: here)"));
  EXPECT_THAT(page, HasSubstr(".SS \"sluice push back [OPTIONS]\"\nThe other way."));
}

TEST(Manual, TextCannotBecomeARequest) {
  const std::string page = pageOf(Program(), "sluice-push.1");
  EXPECT_THAT(page, HasSubstr("\n\\&.begins with a dot\n"));
  EXPECT_THAT(page, HasSubstr("x\\ey"));
  EXPECT_THAT(page, HasSubstr("\\(aqit\\(aq"));
}

TEST(Manual, MarkdownKeepsItsTablesWhole) {
  const std::string page = commandsPage(Program().app);
  EXPECT_THAT(page, HasSubstr("## sluice push\nMove things.\n"));
  EXPECT_THAT(page, HasSubstr("| Where to \\| or not (default: here) |"));
  EXPECT_THAT(page, HasSubstr("### sluice push back\n"));
  EXPECT_THAT(page, Not(HasSubstr("secret")));
}

}  // namespace
}  // namespace sluice::relay
