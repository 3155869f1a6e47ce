#include "relay/admin/reply_predicate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::relay {
namespace {

using testing::HasSubstr;

TEST(ReplyPredicate, AnExpressionIsFoundAnywhereWithoutCase) {
  const auto later = replyMatching("4\\.7\\.[01] .*(later|slow down)");
  ASSERT_TRUE(later);
  EXPECT_TRUE((*later)("mx.a.test [192.0.2.1:25]: 451 4.7.1 please Slow Down"));
  EXPECT_FALSE((*later)("mx.a.test [192.0.2.1:25]: 451 4.2.1 later"));
  EXPECT_TRUE((*replyMatching("\\xe4"))("\xe4"));
}

TEST(ReplyPredicate, WhatIsNoExpressionIsSaid) {
  EXPECT_EQ(replyMatching("(").error().code, Errc::InvalidArgument);
  EXPECT_THAT(replyMatching("(a)\\1").error().detail, HasSubstr("regular expression"));
}

// Bounded whatever the far end wrote: a backtracking matcher would never come back.
TEST(ReplyPredicate, AHostileReplyCostsNoTime) {
  const auto pattern = replyMatching("(a*)*b|(a|aa)+$c");
  ASSERT_TRUE(pattern);
  EXPECT_FALSE((*pattern)(std::string(1024, 'a')));
}

TEST(ReplyPredicate, TheHostOfTheLastAttemptIsTheOneThatIsNamed) {
  EXPECT_EQ(hostOfReply("mx.a.test [192.0.2.1:25]: 451 later [x]"), "mx.a.test");
  EXPECT_EQ(hostOfReply("connect to mx.a.test [192.0.2.1:25]: refused"), "mx.a.test");
  EXPECT_EQ(hostOfReply("connect to [192.0.2.1:25]: refused"), "192.0.2.1:25");
  EXPECT_EQ(hostOfReply("no send connector matches [a]"), "");
  EXPECT_EQ(hostOfReply("["), "");
  EXPECT_EQ(hostOfReply(""), "");
  EXPECT_TRUE(repliedBy("*.a.test")("MX.A.test [192.0.2.1:25]: 451"));
  EXPECT_FALSE(repliedBy("*.b.test")("mx.a.test [192.0.2.1:25]: 451 x.b.test"));
}

}  // namespace
}  // namespace sluice::relay
