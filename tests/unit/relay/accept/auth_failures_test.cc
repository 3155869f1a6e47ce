#include "relay/accept/auth_failures.h"

#include <gtest/gtest.h>

namespace sluice::relay {
namespace {

using namespace std::chrono_literals;

constexpr SteadyTime kStart{1h};
const AuthLockout kLimits{3, milliseconds{60s}, milliseconds{900s}};

TEST(AuthFailures, ShutOutWhoFailsTooOftenForTheTime) {
  AuthFailures failures;
  EXPECT_FALSE(failures.failed("ann", kLimits, kStart));
  EXPECT_FALSE(failures.failed("ann", kLimits, kStart + 1s));
  EXPECT_FALSE(failures.shutOut("ann", kStart + 1s));
  EXPECT_TRUE(failures.failed("ann", kLimits, kStart + 2s));
  EXPECT_TRUE(failures.shutOut("ann", kStart + 901s));
  EXPECT_FALSE(failures.shutOut("ann", kStart + 902s));
  EXPECT_FALSE(failures.shutOut("bob", kStart + 2s));
}

TEST(AuthFailures, CountAnewAfterTheWindowAndAfterTheTime) {
  AuthFailures failures;
  failures.failed("ann", kLimits, kStart);
  failures.failed("ann", kLimits, kStart);
  EXPECT_FALSE(failures.failed("ann", kLimits, kStart + 60s));
  EXPECT_FALSE(failures.failed("ann", kLimits, kStart + 61s));
  EXPECT_TRUE(failures.failed("ann", kLimits, kStart + 62s));
  EXPECT_FALSE(failures.failed("ann", kLimits, kStart + 2000s));
  EXPECT_FALSE(failures.shutOut("ann", kStart + 2000s));
}

TEST(AuthFailures, AreForgottenBySuccess) {
  AuthFailures failures;
  failures.failed("ann", kLimits, kStart);
  failures.failed("ann", kLimits, kStart);
  failures.forget("ann");
  EXPECT_FALSE(failures.failed("ann", kLimits, kStart));
}

TEST(AuthFailures, ShutNobodyOutForNoTime) {
  AuthFailures failures;
  const AuthLockout never{1, milliseconds{60s}, milliseconds{0}};
  EXPECT_FALSE(failures.failed("ann", never, kStart));
  EXPECT_FALSE(failures.shutOut("ann", kStart));
}

TEST(AuthFailures, AreBoundedAndMakeRoomOfWhatIsOver) {
  AuthFailures failures;
  for (size_t i = 0; i < AuthFailures::kMaxSubjects + 100; ++i) {
    failures.failed("user" + std::to_string(i), kLimits, kStart);
  }
  EXPECT_EQ(failures.size(), AuthFailures::kMaxSubjects);
  failures.failed("late", kLimits, kStart + 61s);
  EXPECT_EQ(failures.size(), 1u);
}

TEST(AuthFailures, AreCountedByTheNetworkThatAnIPv6HostHasForItself) {
  const auto at = [](const char* text) { return clientSubject(IpAddress::parse(text).value()); };
  EXPECT_EQ(at("2001:db8::1"), at("2001:db8::ffff:1"));
  EXPECT_NE(at("2001:db8::1"), at("2001:db8:0:1::1"));
  EXPECT_NE(at("192.0.2.1"), at("192.0.2.2"));
}

}  // namespace
}  // namespace sluice::relay
