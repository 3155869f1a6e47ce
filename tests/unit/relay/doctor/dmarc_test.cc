#include "relay/doctor/dmarc.h"

#include <gtest/gtest.h>

#include "fake_names.h"

namespace sluice::relay {
namespace {

TEST(Dmarc, TheDomainsOwnRecordCounts) {
  FakeNames names;
  names.texts["_dmarc.a.test"] = {"v=DMARC1; p=Reject; adkim=s ;rua=mailto:x@a.test"};
  const auto policy = dmarcOf(names, "a.test");
  ASSERT_TRUE(policy);
  EXPECT_EQ(policy->policy, "reject");
  EXPECT_TRUE(policy->strict_dkim);
  EXPECT_FALSE(policy->strict_spf);
  EXPECT_TRUE(policy->reports);
}

TEST(Dmarc, ADomainWithoutOneIsUnderTheOneAbove) {
  FakeNames names;
  names.texts["_dmarc.a.test"] = {"v=DMARC1; p=reject; sp=quarantine"};
  EXPECT_EQ(dmarcOf(names, "news.mail.a.test")->policy, "quarantine");
  EXPECT_EQ(dmarcOf(names, "news.mail.a.test")->domain, "a.test");
  EXPECT_EQ(dmarcOf(names, "b.test").error().code, Errc::NotFound);
}

TEST(Dmarc, ARecordThatReadersIgnoreIsNone) {
  FakeNames names;
  names.texts["_dmarc.a.test"] = {"v=DMARC1; pct=100"};
  EXPECT_EQ(dmarcOf(names, "a.test").error().code, Errc::Malformed);
  names.texts["_dmarc.a.test"] = {"v=DMARC1; p=none", "v=DMARC1; p=reject"};
  EXPECT_EQ(dmarcOf(names, "a.test").error().code, Errc::Malformed);
  names.broken["_dmarc.a.test"] = true;
  EXPECT_EQ(dmarcOf(names, "a.test").error().code, Errc::DnsFailed);
}

TEST(Dmarc, ASignatureOfTheDomainAboveIsAlignedUnlessItMustBeStrict) {
  EXPECT_TRUE(isAligned("news.a.test", "a.test", false));
  EXPECT_TRUE(isAligned("a.test", "news.a.test", false));
  EXPECT_FALSE(isAligned("news.a.test", "a.test", true));
  EXPECT_TRUE(isAligned("A.test", "a.test", true));
  EXPECT_FALSE(isAligned("xa.test", "a.test", false));
}

}  // namespace
}  // namespace sluice::relay
