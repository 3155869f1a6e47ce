#include "relay/submit/mailbox_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::relay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(MailboxList, NamesCommentsAndGroupsAreLeftOut) {
  EXPECT_THAT(mailboxesIn(" ann@a.test, Bob B. <bob@b.test> (his work),\r\n\tcid@c.test"),
              ElementsAre("ann@a.test", "bob@b.test", "cid@c.test"));
  EXPECT_THAT(mailboxesIn("friends: ann@a.test, Bob <bob@b.test>; cid@c.test"),
              ElementsAre("ann@a.test", "bob@b.test", "cid@c.test"));
  EXPECT_THAT(mailboxesIn("undisclosed-recipients:;"), IsEmpty());
  EXPECT_THAT(mailboxesIn("ann@a.test (a, b (c) <x@x.test>)"), ElementsAre("ann@a.test"));
  EXPECT_THAT(mailboxesIn(""), IsEmpty());
}

TEST(MailboxList, QuotesHideWhatWouldPartMailboxes) {
  EXPECT_THAT(mailboxesIn("\"Doe, Jane <x@x.test>\" <jane@j.test>, \"a,b\"@c.test"),
              ElementsAre("jane@j.test", "\"a,b\"@c.test"));
  EXPECT_THAT(mailboxesIn("\"a\\\"b\" <q@q.test>"), ElementsAre("q@q.test"));
}

TEST(MailboxList, OldAndBareFormsAreUnderstood) {
  EXPECT_THAT(mailboxesIn("<@one.test,@two.test:ann@a.test>, root"),
              ElementsAre("ann@a.test", "root"));
  EXPECT_THAT(mailboxesIn("ann . b @ a.test"), ElementsAre("ann.b@a.test"));
}

TEST(MailboxList, BrokenOnesEndWithTheValue) {
  EXPECT_THAT(mailboxesIn("<ann@a.test"), ElementsAre("ann@a.test"));
  EXPECT_THAT(mailboxesIn("\"ann"), ElementsAre("\"ann"));
  EXPECT_THAT(mailboxesIn("(((("), IsEmpty());
  EXPECT_THAT(mailboxesIn(",;,<>,:"), IsEmpty());
}

}  // namespace
}  // namespace sluice::relay
