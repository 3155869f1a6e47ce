#include "relay/report/tls_ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::relay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

struct Ledger : testing::Test {
  ManualClock clock;
  TlsLedger ledger{clock};

  static TlsResult resultFor(const std::string& domain, TlsResult::Type type) {
    TlsResult result;
    result.domain = domain;
    result.policy = TlsResult::Policy::Tlsa;
    result.policy_lines = {"_25._tcp.mx.test. IN TLSA 3 1 1 ab"};
    result.type = type;
    result.mx = "mx.test";
    result.from = *IpAddress::parse("192.0.2.1");
    result.to = *IpAddress::parse("192.0.2.2");
    return result;
  }
  TlsLedger::Entry today(const std::string& domain) const { return {dayOf(clock.wall()), domain}; }
  TlsTally tallyOf(const std::string& domain) const {
    const auto found = ledger.find(today(domain));
    return found ? found->at(TlsResult::Policy::Tlsa) : TlsTally();
  }
};

TEST_F(Ledger, SumsSessionsByDomainAndFailuresByTheirKind) {
  ledger.note(resultFor("a.test", TlsResult::Type::Success));
  ledger.note(resultFor("a.test", TlsResult::Type::Success));
  ledger.note(resultFor("a.test", TlsResult::Type::CertificateExpired));
  ledger.note(resultFor("a.test", TlsResult::Type::CertificateExpired));
  ledger.note(resultFor("a.test", TlsResult::Type::ValidationFailure));
  ledger.note(resultFor("b.test", TlsResult::Type::Success));
  const TlsTally tally = tallyOf("a.test");
  EXPECT_EQ(tally.successes, 2u);
  EXPECT_EQ(tally.failures, 3u);
  ASSERT_THAT(tally.details, SizeIs(2));
  EXPECT_EQ(tally.details[0].sessions, 2u);
  EXPECT_EQ(tally.details[0].to, "192.0.2.2");
  EXPECT_THAT(tally.policy_lines, ElementsAre("_25._tcp.mx.test. IN TLSA 3 1 1 ab"));
  EXPECT_EQ(tallyOf("b.test").successes, 1u);
}

TEST_F(Ledger, ReportsNoDayBeforeItsEnd) {
  ledger.note(resultFor("a.test", TlsResult::Type::Success));
  EXPECT_THAT(ledger.finished(dayOf(clock.wall())), IsEmpty());
  const TlsLedger::Entry entry = today("a.test");
  clock.advance(std::chrono::hours(24));
  EXPECT_THAT(ledger.finished(dayOf(clock.wall())), ElementsAre(entry));
  ledger.drop(entry);
  EXPECT_THAT(ledger.finished(dayOf(clock.wall())), IsEmpty());
}

TEST_F(Ledger, ComesBackFromItsFile) {
  TlsResult odd = resultFor("a.test", TlsResult::Type::StartTlsNotSupported);
  odd.reason = "it said: \xff\x01\"";
  ledger.note(odd);
  ledger.note(resultFor("a.test", TlsResult::Type::Success));
  const auto saved = ledger.takeChanges();
  ASSERT_TRUE(saved);
  EXPECT_FALSE(ledger.takeChanges()) << "nothing has changed since";
  TlsLedger later(clock);
  ASSERT_TRUE(later.restore(*saved));
  const TlsTally tally = later.find(today("a.test"))->at(TlsResult::Policy::Tlsa);
  EXPECT_EQ(tally.successes, 1u);
  EXPECT_EQ(tally.failures, 1u);
  ASSERT_THAT(tally.details, SizeIs(1));
  EXPECT_EQ(tally.details[0].type, TlsResult::Type::StartTlsNotSupported);
  EXPECT_EQ(tally.details[0].from, "192.0.2.1");
}

TEST_F(Ledger, TakesNothingFromADamagedFile) {
  ledger.note(resultFor("a.test", TlsResult::Type::Success));
  const std::string saved = *ledger.takeChanges();
  TlsLedger later(clock);
  for (const std::string& bad :
       {std::string(), saved.substr(0, saved.size() / 2), std::string("[]"), std::string("7"),
        std::string(R"({"entries":[{"day":"x"}]})")}) {
    EXPECT_FALSE(later.restore(bad)) << bad;
  }
  EXPECT_FALSE(later.find(today("a.test")));
}

TEST_F(Ledger, IsBounded) {
  for (size_t i = 0; i < TlsLedger::kMaxEntries + 10; ++i) {
    ledger.note(resultFor("d" + std::to_string(i) + ".test", TlsResult::Type::Success));
  }
  EXPECT_FALSE(ledger.find(today("d" + std::to_string(TlsLedger::kMaxEntries) + ".test")));
  TlsResult result = resultFor("d1.test", TlsResult::Type::ValidationFailure);
  for (int i = 0; i < 1000; ++i) {
    result.reason = std::string(5000, 'x') + std::to_string(i);
    result.mx = "mx" + std::to_string(i);
    result.policy_lines = {std::to_string(i)};
    ledger.note(result);
  }
  const TlsTally tally = tallyOf("d1.test");
  EXPECT_EQ(tally.failures, 1000u);
  EXPECT_THAT(tally.details, SizeIs(TlsLedger::kMaxDetails));
  EXPECT_THAT(tally.policy_lines, SizeIs(TlsLedger::kMaxLines));
  EXPECT_EQ(tally.details[0].reason.size(), TlsLedger::kMaxTextBytes);
}

}  // namespace
}  // namespace sluice::relay
