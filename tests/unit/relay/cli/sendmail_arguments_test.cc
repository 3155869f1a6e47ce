// The command lines that programs really give to sendmail.
#include "relay/cli/sendmail_arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::relay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Mode = SendmailArguments::Mode;

Result<SendmailArguments> parse(std::vector<const char*> words) { return parseSendmail(words); }

TEST(SendmailArguments, ThoseOfWellKnownPrograms) {
  const auto php = parse({"-t", "-i"});
  EXPECT_TRUE(php->take_recipients);
  EXPECT_FALSE(php->dot_ends);
  const auto cron = parse({"-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t", "-f", "root"});
  EXPECT_EQ(cron->full_name, "CronDaemon");
  EXPECT_EQ(cron->sender, "root");
  EXPECT_TRUE(cron->take_recipients);
  const auto git = parse({"-i", "ann@a.test", "bob@b.test"});
  EXPECT_THAT(git->recipients, ElementsAre("ann@a.test", "bob@b.test"));
  const auto mailx = parse({"-oi", "-fann@a.test", "--", "-odd@b.test"});
  EXPECT_EQ(mailx->sender, "ann@a.test");
  EXPECT_THAT(mailx->recipients, ElementsAre("-odd@b.test"));
  const auto mutt = parse(
      {"-oem", "-oi", "-B", "8BITMIME", "-N", "success,failure", "-R", "hdrs", "--", "ann@a.test"});
  EXPECT_EQ(mutt->notify, "SUCCESS,FAILURE");
  EXPECT_EQ(mutt->ret, "HDRS");
  EXPECT_THAT(mutt->recipients, ElementsAre("ann@a.test"));
  const auto logwatch = parse({"-ti"});
  EXPECT_TRUE(logwatch->take_recipients);
  EXPECT_FALSE(logwatch->dot_ends);
}

TEST(SendmailArguments, AnEmptySenderIsTheNullReversePath) {
  const auto apart = parse({"-f", "", "-t"});
  EXPECT_TRUE(apart->has_sender);
  EXPECT_EQ(apart->sender, "");
  EXPECT_TRUE(apart->take_recipients);
  EXPECT_EQ(parse({"-f<>", "a@a.test"})->sender, "<>");
  EXPECT_FALSE(parse({"-t"})->has_sender);
}

TEST(SendmailArguments, ModesOfOtherTimes) {
  EXPECT_EQ(parse({"-bs"})->mode, Mode::Smtp);
  EXPECT_EQ(parse({"-bm", "a@a.test"})->mode, Mode::Deliver);
  EXPECT_EQ(parse({"-q15m"})->mode, Mode::Nothing);
  EXPECT_EQ(parse({"-bi"})->mode, Mode::Nothing);
  EXPECT_EQ(parse({"-I"})->mode, Mode::Nothing);
  EXPECT_THAT(parse({"-bs"})->recipients, IsEmpty());
}

TEST(SendmailArguments, WhatIsNotUnderstoodIsSaid) {
  for (const std::vector<const char*>& words : {std::vector<const char*>{},
                                                {"-f"},
                                                {"-bd"},
                                                {"-bp"},
                                                {"-Nsometimes", "a@a.test"},
                                                {"-Nnever,delay", "a@a.test"},
                                                {"-Z", "a@a.test"},
                                                {"--nonsense", "a@a.test"}}) {
    EXPECT_FALSE(parse(words)) << (words.empty() ? "" : words.front());
  }
}

}  // namespace
}  // namespace sluice::relay
