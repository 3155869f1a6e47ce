#include "relay/submit/local_message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::relay {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

LocalMessage read(std::string_view text, LocalMessageOptions options = {}) {
  options.from = "app@here.test";
  options.hostname = "here.test";
  options.unique = "1.2";
  return readLocalMessage(text, options);
}

TEST(LocalMessage, LinesEndAsSmtpWantsThem) {
  EXPECT_THAT(read("Date: x\nFrom: a\nMessage-ID: b\n\none\r\ntwo\rthree").content,
              testing::StrEq("Date: x\r\nFrom: a\r\nMessage-ID: b\r\n\r\none\r\ntwo\r\nthree\r\n"));
}

TEST(LocalMessage, ADotAloneEndsItUnlessItMayNot) {
  EXPECT_THAT(read("Subject: x\n\nbody\n.\nlater\n").content, EndsWith("\r\n\r\nbody\r\n"));
  EXPECT_THAT(read("Subject: x\n\nbody\n.\nlater\n", {.dot_ends = false}).content,
              EndsWith("body\r\n.\r\nlater\r\n"));
}

TEST(LocalMessage, WhatIsMissingIsAddedOnce) {
  const std::string content = read("Subject: x\n\nbody\n").content;
  EXPECT_THAT(content, StartsWith("Date: "));
  EXPECT_THAT(content, HasSubstr("\r\nFrom: app@here.test\r\n"));
  EXPECT_THAT(content, HasSubstr("\r\nMessage-ID: <1.2@here.test>\r\n"));
  EXPECT_THAT(content, EndsWith("Subject: x\r\n\r\nbody\r\n"));
  const std::string has_all = read("date: d\nFROM: f\nMessage-Id: m\n\n").content;
  EXPECT_EQ(has_all, "date: d\r\nFROM: f\r\nMessage-Id: m\r\n\r\n");
  EXPECT_THAT(read("\n", {.full_name = "Cron \"D\" x"}).content,
              HasSubstr("From: \"Cron \\\"D\\\" x\" <app@here.test>"));
}

TEST(LocalMessage, RecipientsOfTheHeaderAreTakenAndBccIsNotTold) {
  const std::string text =
      "To: a@a.test\nCc: b@b.test,\n\tc@c.test\nBcc: d@d.test\nX: y\n\nTo: z@z.test\n";
  const LocalMessage taken = read(text, {.take_recipients = true});
  EXPECT_THAT(taken.recipients, ElementsAre("a@a.test", "b@b.test", "c@c.test", "d@d.test"));
  EXPECT_THAT(taken.content, Not(HasSubstr("d@d.test")));
  EXPECT_THAT(taken.content, HasSubstr("Cc: b@b.test,\r\n\tc@c.test\r\nX: y\r\n\r\nTo: z@z.test"));
  const LocalMessage left = read(text);
  EXPECT_TRUE(left.recipients.empty());
  EXPECT_THAT(left.content, HasSubstr("Bcc: d@d.test"));
}

TEST(LocalMessage, AResentMessageGoesToWhomItIsResent) {
  EXPECT_THAT(read("Resent-To: r@r.test\nTo: a@a.test\n\n", {.take_recipients = true}).recipients,
              ElementsAre("r@r.test"));
}

TEST(LocalMessage, WhatIsNoHeaderFieldIsBody) {
  EXPECT_THAT(read("hello there\nTo: a@a.test\n").content,
              EndsWith("\r\n\r\nhello there\r\nTo: a@a.test\r\n"));
  EXPECT_THAT(read("From ann Tue Nov 24\nSubject: x\n\nb\n").content, Not(HasSubstr("From ann")));
  EXPECT_THAT(read("").content, EndsWith("\r\n\r\n"));
}

TEST(LocalMessage, BytesBeyondAsciiAreNoticed) {
  EXPECT_FALSE(read("Subject: x\n\nb\n").eight_bit);
  EXPECT_TRUE(read("Subject: x\n\n\xc3\xa4\n").eight_bit);
  EXPECT_FALSE(read("Subject: x\n\n\xc3\xa4\n").utf8_header);
  EXPECT_TRUE(read("Subject: \xc3\xa4\n\nb\n").utf8_header);
}

}  // namespace
}  // namespace sluice::relay
