// Rules of the sink, as they are written on a command line.
#include "relay/cli/sink_script.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::relay {
namespace {

using testing::HasSubstr;

TEST(SinkRule, ReadsAllOfItsFields) {
  const SinkRule rule = parseSinkRule("*@a.test,eod,451,12.5,300,4.7.1 no, not now").value();
  EXPECT_EQ(rule.glob, "*@a.test");
  EXPECT_EQ(rule.stage, SinkStage::Eod);
  EXPECT_EQ(rule.code, 451);
  EXPECT_EQ(rule.percent, 12.5);
  EXPECT_EQ(rule.delay.count(), 300);
  EXPECT_EQ(rule.text, "4.7.1 no, not now");
}

TEST(SinkRule, SaysWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {{"", "glob"},
                                                       {"a", "no stage"},
                                                       {"a,b,250", "'b' is no stage"},
                                                       {"a,rcpt", "action"},
                                                       {"a,rcpt,99", "action"},
                                                       {"a,rcpt,600", "action"},
                                                       {"a,rcpt,4x", "action"},
                                                       {"a,rcpt,450,x", "percent"},
                                                       {"a,rcpt,450,101", "percent"},
                                                       {"a,rcpt,450,1,-1", "delay"},
                                                       {"a,content,450", "within the content"}};
  for (const auto& [text, what] : cases) {
    const auto rule = parseSinkRule(text);
    ASSERT_FALSE(rule) << text;
    EXPECT_THAT(rule.error().detail, HasSubstr(what)) << text;
  }
}

TEST(SinkScript, LetsTheFirstFittingRuleAct) {
  SinkScript script({parseSinkRule("x@a.test,rcpt,550").value(),
                     parseSinkRule("a.test,rcpt,450").value(),
                     parseSinkRule("d1*.b.test,rcpt,close").value()});
  EXPECT_EQ(script.pick(SinkStage::Rcpt, "x@a.test")->code, 550);
  EXPECT_EQ(script.pick(SinkStage::Rcpt, "y@A.TEST")->code, 450);
  EXPECT_EQ(script.pick(SinkStage::Rcpt, "y@d17.b.test")->action, SinkRule::Action::Close);
  EXPECT_EQ(script.pick(SinkStage::Rcpt, "y@d2.b.test"), nullptr);
  EXPECT_EQ(script.pick(SinkStage::Mail, "x@a.test"), nullptr);
}

TEST(SinkScript, ActsInAboutTheGivenPercentage) {
  SinkScript script({parseSinkRule("*,rcpt,450,20").value()});
  int acted = 0;
  for (int i = 0; i < 10'000; ++i) acted += script.pick(SinkStage::Rcpt, "a@b.test") ? 1 : 0;
  EXPECT_NEAR(acted, 2000, 200);
}

TEST(SinkScript, WritesRepliesOfSeveralLines) {
  const SinkRule rule = parseSinkRule("*,rcpt,550,100,0,one\ntwo").value();
  EXPECT_EQ(replyText(rule), "550-one\r\n550 two\r\n");
}

}  // namespace
}  // namespace sluice::relay
