#include "relay/doctor/spf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_names.h"

namespace sluice::relay {
namespace {

using testing::HasSubstr;

class Spf : public testing::Test {
 protected:
  SpfResult check(const std::string& record, const std::string& address = "192.0.2.7") {
    names.texts["a.test"] = {record};
    last = checkSpf(names, *IpAddress::parse(address), "a.test");
    return last.result;
  }
  FakeNames names;
  SpfVerdict last;
};

TEST_F(Spf, AddressesInTheRecordPassAndOthersAreAsTheRecordSays) {
  EXPECT_EQ(check("v=spf1 ip4:192.0.2.7 -all"), SpfResult::Pass);
  EXPECT_EQ(check("v=spf1 ip4:192.0.2.0/29 -all"), SpfResult::Pass);
  EXPECT_EQ(check("v=spf1 ip4:192.0.2.0/30 -all"), SpfResult::Fail);
  EXPECT_EQ(check("v=spf1 ~all"), SpfResult::SoftFail);
  EXPECT_EQ(check("v=spf1 ?all"), SpfResult::Neutral);
  EXPECT_EQ(check("v=spf1"), SpfResult::Neutral);
  EXPECT_EQ(check("V=SPF1 +ALL"), SpfResult::Pass);
  EXPECT_EQ(check("v=spf1 ip6:2001:db8::/32 -all", "2001:db8::1"), SpfResult::Pass);
  EXPECT_EQ(check("v=spf1 ip6:2001:db8::/32 -all", "2001:db9::1"), SpfResult::Fail);
  EXPECT_EQ(check("v=spf1 -ip4:192.0.2.7 +all"), SpfResult::Fail);
}

TEST_F(Spf, HostsAndMailHostsAreLookedUp) {
  names.hosts["a.test"] = {"192.0.2.7"};
  EXPECT_EQ(check("v=spf1 a -all"), SpfResult::Pass);
  EXPECT_EQ(check("v=spf1 a -all", "192.0.2.8"), SpfResult::Fail);
  EXPECT_EQ(check("v=spf1 a/28 -all", "192.0.2.8"), SpfResult::Pass);
  EXPECT_EQ(check("v=spf1 a//64 -all", "192.0.2.8"), SpfResult::Fail);
  names.mx_hosts["b.test"] = {"mx.b.test"};
  names.hosts["mx.b.test"] = {"192.0.2.9", "2001:db8::9"};
  EXPECT_EQ(check("v=spf1 mx:b.test -all", "192.0.2.9"), SpfResult::Pass);
  EXPECT_EQ(check("v=spf1 mx:b.test/24//64 -all", "2001:db8::a"), SpfResult::Pass);
}

TEST_F(Spf, AnIncludeMatchesOnlyIfItPasses) {
  names.texts["in.test"] = {"v=spf1 ip4:192.0.2.7 -all"};
  EXPECT_EQ(check("v=spf1 include:in.test ~all"), SpfResult::Pass);
  EXPECT_EQ(check("v=spf1 include:in.test ~all", "192.0.2.8"), SpfResult::SoftFail);
  EXPECT_EQ(check("v=spf1 include:nowhere.test ~all"), SpfResult::PermError);
  EXPECT_THAT(last.why, HasSubstr("nowhere.test has no SPF record"));
}

TEST_F(Spf, ARedirectTakesThePlaceOfTheRecord) {
  names.texts["in.test"] = {"v=spf1 ip4:192.0.2.7 -all"};
  EXPECT_EQ(check("v=spf1 redirect=in.test"), SpfResult::Pass);
  EXPECT_EQ(check("v=spf1 redirect=in.test", "192.0.2.8"), SpfResult::Fail);
  EXPECT_EQ(check("v=spf1 redirect=in.test ?all", "192.0.2.8"), SpfResult::Neutral);
}

// RFC 7208 section 4.6.4: readers stop at the eleventh, so we must say so before they do.
TEST_F(Spf, MoreThanTenLookUpsBreakARecordAlsoWhenItIncludesItself) {
  EXPECT_EQ(check("v=spf1 include:a.test -all"), SpfResult::PermError);
  EXPECT_THAT(last.why, HasSubstr("more than 10"));
  EXPECT_LE(names.questions, 12);
  std::string record = "v=spf1";
  for (int i = 0; i < 10; ++i) {
    names.hosts["h" + std::to_string(i) + ".test"] = {"192.0.2.99"};
    record += " a:h" + std::to_string(i) + ".test";
  }
  EXPECT_EQ(check(record + " -all"), SpfResult::Fail);
  EXPECT_EQ(check(record + " a:h1.test -all"), SpfResult::PermError);
}

TEST_F(Spf, NamesThatDoNotExistBreakARecordWhenThereAreThree) {
  EXPECT_EQ(check("v=spf1 a:x1.test a:x2.test -all"), SpfResult::Fail);
  EXPECT_EQ(check("v=spf1 a:x1.test a:x2.test a:x3.test -all"), SpfResult::PermError);
}

TEST_F(Spf, ABrokenRecordIsSaidToBeBroken) {
  for (const char* record :
       {"v=spf1 ip4:192.0.2.300 -all", "v=spf1 ip4:192.0.2.0/33 -all", "v=spf1 ipv4:192.0.2.7 -all",
        "v=spf1 include: -all", "v=spf1 ip6:192.0.2.7 -all", "v=spf1 a/99 -all"}) {
    EXPECT_EQ(check(record), SpfResult::PermError) << record;
    EXPECT_NE(last.why, "") << record;
  }
  names.texts["a.test"] = {"v=spf1 -all", "v=spf1 +all"};
  EXPECT_EQ(checkSpf(names, {}, "a.test").result, SpfResult::PermError);
}

TEST_F(Spf, OtherTextsAreNoRecord) {
  EXPECT_EQ(check("v=spf10 -all"), SpfResult::None);
  EXPECT_EQ(check("google-site-verification=x"), SpfResult::None);
  names.texts["a.test"] = {"other", "v=spf1 -all"};
  EXPECT_EQ(checkSpf(names, {}, "a.test").result, SpfResult::Fail);
  EXPECT_EQ(checkSpf(names, {}, "none.test").result, SpfResult::None);
  names.broken["down.test"] = true;
  EXPECT_EQ(checkSpf(names, {}, "down.test").result, SpfResult::TempError);
}

TEST_F(Spf, WhatDependsOnTheMessageIsNotJudged) {
  EXPECT_EQ(check("v=spf1 exists:%{i}.list.test -all"), SpfResult::Fail);
  EXPECT_TRUE(last.unsure);
  EXPECT_EQ(check("v=spf1 include:%{d}.x.test ip4:192.0.2.7 -all"), SpfResult::Pass);
  EXPECT_TRUE(last.unsure);
}

}  // namespace
}  // namespace sluice::relay
