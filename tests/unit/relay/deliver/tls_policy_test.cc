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
