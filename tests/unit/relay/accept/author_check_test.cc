#include "relay/accept/author_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::relay {
namespace {

using testing::ElementsAre;

std::vector<std::string> authors(std::string_view from) {
  return authorsOf(from).value_or(std::vector<std::string>{"none"});
}

TEST(AuthorCheck, FindsEveryAuthor) {
  EXPECT_THAT(authors("ann@a.test"), ElementsAre("ann@a.test"));
  EXPECT_THAT(authors("Ann <ann@a.test>"), ElementsAre("ann@a.test"));
  EXPECT_THAT(authors("\"x@y.test, z\" <ann@a.test>"), ElementsAre("ann@a.test"));
  EXPECT_THAT(authors("x@y.test <ann@a.test>"), ElementsAre("ann@a.test"));
  EXPECT_THAT(authors("ann@a.test, Bob <bob@b.test>,, c@c.test (d@d.test)"),
              ElementsAre("ann@a.test", "bob@b.test", "c@c.test"));
  EXPECT_THAT(authors("Us: ann@a.test, bob@b.test; , c@c.test"),
              ElementsAre("ann@a.test", "bob@b.test", "c@c.test"));
  EXPECT_THAT(authors("ann (a (nested \\) comment)) @a.test"), ElementsAre("ann@a.test"));
  EXPECT_THAT(authors("\"odd@name\"@a.test"), ElementsAre("\"odd@name\"@a.test"));
}

TEST(AuthorCheck, TakesNothingThatCouldBeReadInTwoWays) {
  for (const char* from :
       {"", " ", "ann", "<>", "Us:;", "ann@", "@a.test", "Ann <ann>", "<ann@a.test", "ann@a.test>",
        "<ann@a.test> <bob@b.test>", "<ann@a.test> bob@b.test", "<<ann@a.test>>",
        "<@x.test:ann@a.test>", "<ann@a.test, bob@b.test>", "(ann@a.test", "\"ann@a.test"}) {
    EXPECT_THAT(authors(from), ElementsAre("none")) << from;
  }
}

bool allowed(const std::string& content, size_t segment = std::string::npos) {
  User user;
  user.authors = {"@here.test", "me@own.test"};
  AuthorCheck check(user);
  for (size_t at = 0; at < content.size(); at += std::min(segment, content.size())) {
    check.feed(content.substr(at, segment));
  }
  check.finish();
  return check.allowed();
}

TEST(AuthorCheck, AllowsWhatTheUserMayWriteAsInEverySegmentation) {
  const std::string good =
      "Subject: x\r\nFrom: A\r\n <a@here.test>,\r\n\tme@OWN.test\r\n\r\nFrom: x@evil.test\r\n";
  const std::string bad = "Subject: x\r\nFrom: a@here.test,\r\n\tother@own.test\r\n\r\nbody";
  for (size_t segment = 1; segment <= bad.size(); ++segment) {
    EXPECT_TRUE(allowed(good, segment)) << segment;
    EXPECT_FALSE(allowed(bad, segment)) << segment;
  }
}

TEST(AuthorCheck, LooksAtEveryFromField) {
  EXPECT_FALSE(allowed("From: a@here.test\r\nfrom: x@evil.test\r\n\r\n"));
  EXPECT_FALSE(allowed("From: x@evil.test\r\nFROM : a@here.test\r\n\r\n"));
  EXPECT_FALSE(allowed("Subject: none\r\n\r\n"));
  EXPECT_FALSE(allowed(""));
  EXPECT_FALSE(allowed("From: a@sub.here.test\r\n\r\n"));
  EXPECT_FALSE(allowed("From: a@here.test.evil.test\r\n\r\n"));
  EXPECT_TRUE(allowed("From: a@here.test"));
}

}  // namespace
}  // namespace sluice::relay
