#include "relay/deliver/tls_policy.h"

#include <gtest/gtest.h>

#include "relay/deliver/outcome.h"

namespace sluice::relay {
namespace {

using When = TlsDemand::When;

TEST(TlsDemand, IsWhatTheConfigurationSays) {
  const auto by_mx = [](SendTls policy) { return tlsDemand(policy, Route::Mx, 25); };
  EXPECT_EQ(by_mx(SendTls::Off).when, When::Never);
  EXPECT_EQ(by_mx(SendTls::Opportunistic).when, When::IfOffered);
  EXPECT_TRUE(by_mx(SendTls::Opportunistic).may_fall_back);
  EXPECT_FALSE(by_mx(SendTls::Opportunistic).verify);
  EXPECT_EQ(by_mx(SendTls::Required).when, When::Always);
  EXPECT_FALSE(by_mx(SendTls::Required).may_fall_back);
  EXPECT_FALSE(by_mx(SendTls::Required).verify);
  EXPECT_EQ(by_mx(SendTls::Verify).when, When::Always);
  EXPECT_TRUE(by_mx(SendTls::Verify).verify);
  EXPECT_FALSE(by_mx(SendTls::Verify).may_fall_back);
}

TEST(TlsDemand, BeginsWithTlsAtASmartHostsPort465) {
  const auto at465 = [](SendTls policy, Route route) { return tlsDemand(policy, route, 465); };
  EXPECT_EQ(at465(SendTls::Opportunistic, Route::SmartHost).when, When::FromTheStart);
  EXPECT_FALSE(at465(SendTls::Opportunistic, Route::SmartHost).may_fall_back);
  EXPECT_TRUE(at465(SendTls::Verify, Route::SmartHost).verify);
  EXPECT_EQ(at465(SendTls::Off, Route::SmartHost).when, When::Never);
  EXPECT_EQ(at465(SendTls::Required, Route::Mx).when, When::Always);
}

TEST(TlsDemand, IsOpportunisticWhereNothingIsPublished) {
  for (const SendTls policy : {SendTls::Dane, SendTls::MtaSts}) {
    const TlsDemand demand = tlsDemand(policy, Route::Mx, 25);
    EXPECT_EQ(demand.when, When::IfOffered);
    EXPECT_TRUE(demand.may_fall_back);
    EXPECT_FALSE(demand.authenticates());
    EXPECT_EQ(toString(demand.basis), "");
  }
}

// No domain publishes a policy about a smart host, and credentials may go there.
TEST(TlsDemand, OfASmartHostByMtaStsIsToProveItsName) {
  const TlsDemand demand = tlsDemand(SendTls::MtaSts, Route::SmartHost, 587);
  EXPECT_EQ(demand.when, When::Always);
  EXPECT_TRUE(demand.verify);
  EXPECT_FALSE(demand.may_fall_back);
}

const std::vector<net::TlsaRecord> kUsable{{3, 1, 1, std::string(32, 'd')}};
const std::vector<net::TlsaRecord> kUnusable{{1, 1, 1, std::string(32, 'd')}};

TEST(TlsDemand, IsNeverLessThanTlsWhereTlsaRecordsArePublished) {
  PublishedTls published{net::DanePolicy::of(kUsable, {"mx.test"})};
  TlsDemand demand = tlsDemand(SendTls::Dane, Route::Mx, 25, published);
  EXPECT_EQ(demand.when, When::Always);
  EXPECT_FALSE(demand.may_fall_back);
  EXPECT_TRUE(demand.authenticates());
  EXPECT_EQ(toString(demand.basis), "dane");
  published.dane = net::DanePolicy::of(kUnusable, {"mx.test"});
  demand = tlsDemand(SendTls::Dane, Route::Mx, 25, published);
  EXPECT_EQ(demand.when, When::Always);
  EXPECT_FALSE(demand.may_fall_back);
  EXPECT_FALSE(demand.authenticates());
  // Nobody asked for it.
  EXPECT_TRUE(tlsDemand(SendTls::Opportunistic, Route::Mx, 25, published).may_fall_back);
}

TEST(TlsDemand, IsThatOfAnEnforcedMtaStsPolicy) {
  using Mode = DomainTlsPolicy::Mode;
  TlsDemand demand = tlsDemand(SendTls::MtaSts, Route::Mx, 25, {nullptr, Mode::Enforce, true});
  EXPECT_EQ(demand.when, When::Always);
  EXPECT_TRUE(demand.verify);
  EXPECT_FALSE(demand.may_fall_back);
  EXPECT_FALSE(demand.excluded);
  EXPECT_EQ(toString(demand.basis), "mta-sts");
  EXPECT_TRUE(tlsDemand(SendTls::MtaSts, Route::Mx, 25, {nullptr, Mode::Enforce, false}).excluded);
  demand = tlsDemand(SendTls::MtaSts, Route::Mx, 25, {nullptr, Mode::Testing, false});
  EXPECT_TRUE(demand.may_fall_back);
  EXPECT_TRUE(demand.only_look);
  EXPECT_FALSE(demand.excluded);
}

// RFC 8461 section 2: a policy must not take the place of a DANE validation that fails.
TEST(TlsDemand, FollowsTlsaRecordsRatherThanAnMtaStsPolicy) {
  const PublishedTls both{net::DanePolicy::of(kUsable, {"mx.test"}), DomainTlsPolicy::Mode::Enforce,
                          false};
  const TlsDemand demand = tlsDemand(SendTls::MtaSts, Route::Mx, 25, both);
  EXPECT_EQ(demand.basis, TlsDemand::Basis::Dane);
  EXPECT_FALSE(demand.verify);
  EXPECT_FALSE(demand.excluded);
}

TEST(TlsDemand, IsThatOfAnMtaStsPolicyWhereNoTlsaRecordCanBeUsed) {
  const TlsDemand demand = tlsDemand(
      SendTls::MtaSts, Route::Mx, 25,
      {net::DanePolicy::of(kUnusable, {"mx.test"}), DomainTlsPolicy::Mode::Enforce, true});
  EXPECT_EQ(demand.basis, TlsDemand::Basis::MtaSts);
  EXPECT_TRUE(demand.verify);
}

// RFC 8689 section 4.2.1: a proven certificate for a proven name.
TEST(TlsDemand, UnderRequireTlsIsProofOfAProvenName) {
  const auto demand = [](SendTls policy, const PublishedTls& published) {
    return tlsDemand(underWish(policy, TlsWish::Required), Route::Mx, 25, published,
                     TlsWish::Required);
  };
  using Mode = DomainTlsPolicy::Mode;
  for (const SendTls policy : {SendTls::Off, SendTls::Opportunistic, SendTls::Verify}) {
    EXPECT_TRUE(demand(policy, {}).excluded);
    EXPECT_TRUE(demand(policy, {nullptr, Mode::Testing, true, false}).excluded);
    const TlsDemand proven = demand(policy, {nullptr, Mode::None, false, true});
    EXPECT_FALSE(proven.excluded);
    EXPECT_TRUE(proven.verify);
    EXPECT_EQ(proven.when, When::Always);
    EXPECT_FALSE(proven.may_fall_back);
    EXPECT_FALSE(demand(policy, {nullptr, Mode::Enforce, true, false}).excluded);
    EXPECT_EQ(
        demand(policy, {net::DanePolicy::of(kUsable, {"mx.test"}), Mode::None, false, true}).basis,
        TlsDemand::Basis::Dane);
    EXPECT_TRUE(
        demand(policy, {net::DanePolicy::of(kUnusable, {"mx.test"}), Mode::None, false, true})
            .verify);
  }
}

// RFC 8689 section 3: what recipients' domains publish, not what is configured here.
TEST(TlsDemand, UnderTlsRequiredNoLeavesPublishedPoliciesAside) {
  EXPECT_EQ(underWish(SendTls::Dane, TlsWish::Optional), SendTls::Opportunistic);
  EXPECT_EQ(underWish(SendTls::MtaSts, TlsWish::Optional), SendTls::Opportunistic);
  EXPECT_EQ(underWish(SendTls::Verify, TlsWish::Optional), SendTls::Verify);
  EXPECT_EQ(underWish(SendTls::Required, TlsWish::Optional), SendTls::Required);
}

// RFC 8461 section 4.1.
TEST(DomainTlsPolicy, CoversHostsByNameAndByWildcardForOneLabel) {
  DomainTlsPolicy policy;
  policy.mx_patterns = {"mx.example.net", "*.mail.example.net"};
  EXPECT_TRUE(policy.covers("mx.example.net"));
  EXPECT_TRUE(policy.covers("a.mail.example.net"));
  EXPECT_FALSE(policy.covers("a.b.mail.example.net"));
  EXPECT_FALSE(policy.covers("mail.example.net"));
  EXPECT_FALSE(policy.covers(".mail.example.net"));
  EXPECT_FALSE(policy.covers("xmx.example.net"));
}

TEST(PlainHosts, AreRememberedForAWhile) {
  PlainHosts hosts;
  const auto host = *Endpoint::parse("192.0.2.1:25");
  const SteadyTime now{std::chrono::hours(1)};
  EXPECT_FALSE(hosts.contains(host, now));
  hosts.add(host, now);
  EXPECT_TRUE(hosts.contains(host, now));
  EXPECT_FALSE(hosts.contains(*Endpoint::parse("192.0.2.1:26"), now));
  EXPECT_FALSE(hosts.contains(host, now + PlainHosts::kRemembered));
}

TEST(Outcome, SaysWhetherTlsFailedOrIsNotThere) {
  EXPECT_EQ(judgeUnreachable({Errc::TlsFailed, "x"}).status, "4.7.5");
  EXPECT_EQ(judgeUnreachable({Errc::TlsMissing, "x"}).status, "4.7.4");
  EXPECT_EQ(judgeUnreachable({Errc::TlsFailed, "x"}).kind, Verdict::Kind::Deferred);
  EXPECT_EQ(judgeUnreachable({Errc::TlsMissing, "x"}).kind, Verdict::Kind::Deferred);
}

}  // namespace
}  // namespace sluice::relay
