// From fields as people, programs and attackers write them.
#include "relay/sign/author_domain.h"

#include <gtest/gtest.h>

namespace sluice::relay {
namespace {

std::string domainOf(std::string_view from) { return authorDomain(from).value_or("none"); }

TEST(AuthorDomain, IsBehindTheAtSignOfTheMailbox) {
  EXPECT_EQ(domainOf("a@b.example"), "b.example");
  EXPECT_EQ(domainOf("<a@b.example>"), "b.example");
  EXPECT_EQ(domainOf("Joe Q. Public <a@B.Example>"), "b.example");
  EXPECT_EQ(domainOf("\"Doe, Joe\" <a@b.example>"), "b.example");
  EXPECT_EQ(domainOf("a@b.example (Joe)"), "b.example");
  EXPECT_EQ(domainOf("a @ b . example"), "b.example");
  EXPECT_EQ(domainOf("=?utf-8?q?J=C3=B6?= <a@b.example>"), "b.example");
  EXPECT_EQ(domainOf("<a@b\xc3\xbc.example>"), "xn--b-eha.example");
}

TEST(AuthorDomain, IsNotWhatAnAttackerPutsAroundIt) {
  EXPECT_EQ(domainOf("a@evil.example <a@b.example>"), "b.example");
  EXPECT_EQ(domainOf("\"a@evil.example\" <a@b.example>"), "b.example");
  EXPECT_EQ(domainOf("\"<a@evil.example>\" <a@b.example>"), "b.example");
  EXPECT_EQ(domainOf("\"\\\"<a@evil.example>\" <a@b.example>"), "b.example");
  EXPECT_EQ(domainOf("(<a@evil.example> (\\)) ) <a@b.example>"), "b.example");
  EXPECT_EQ(domainOf("<\"a@evil.example\"@b.example>"), "b.example");
  EXPECT_EQ(domainOf("<a@b.example> <a@evil.example>"), "b.example");
  EXPECT_EQ(domainOf("<a@b.example(@evil.example)>"), "b.example");
}

TEST(AuthorDomain, OfSeveralMailboxesIsThatOfTheFirst) {
  EXPECT_EQ(domainOf("a@b.example, c@d.example"), "b.example");
  EXPECT_EQ(domainOf("Joe <a@b.example>, <c@d.example>"), "b.example");
  EXPECT_EQ(domainOf("Doe, Joe <a@b.example>"), "b.example");
  EXPECT_EQ(domainOf("team: a@b.example, c@d.example;"), "b.example");
  EXPECT_EQ(domainOf("<@relay.example,@other.example:a@b.example>"), "b.example");
}

TEST(AuthorDomain, IsMissingWhereThereIsNone) {
  for (const char* from : {"", "a", "<>", "<a>", "a@", "undisclosed:;", "(a@b.example)",
                           "\"a@b.example\"", "\"a@b.example", "(a@b.example", "a@b..example",
                           "a@b example.com/x", "<a@b.example\x01>"}) {
    EXPECT_EQ(domainOf(from), "none") << from;
  }
}

}  // namespace
}  // namespace sluice::relay
