#include "net/smtp/address_text.h"

#include <gtest/gtest.h>

namespace sluice::smtp {
namespace {

TEST(AddressText, FindsTheEndOfAComment) {
  EXPECT_EQ(commentBytes("()x"), 2u);
  EXPECT_EQ(commentBytes("(a (b) c) d)"), 9u);
  EXPECT_EQ(commentBytes("(a \\) b) c"), 8u);
  EXPECT_EQ(commentBytes("(a \"(\" b) c"), std::nullopt) << "quotes mean nothing in a comment";
  for (const std::string_view open : {"(", "(a", "(a (b)", "(a\\)", "(\\"})
    EXPECT_EQ(commentBytes(open), std::nullopt) << open;
}

TEST(AddressText, FindsTheEndOfAQuotedString) {
  EXPECT_EQ(quotedBytes("\"\"x"), 2u);
  EXPECT_EQ(quotedBytes("\"a@b, (c\" d"), 9u);
  EXPECT_EQ(quotedBytes("\"a \\\" b\" c"), 8u);
  for (const std::string_view open : {"\"", "\"a", "\"a\\\"", "\"\\"})
    EXPECT_EQ(quotedBytes(open), std::nullopt) << open;
}

}  // namespace
}  // namespace sluice::smtp
