#include "relay/deliver/auth_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::relay {
namespace {

using sasl::ClientMechanism;
using testing::HasSubstr;

smtp::ServerOffer offering(std::vector<std::string> mechanisms) {
  smtp::ServerOffer offer;
  offer.auth = std::move(mechanisms);
  return offer;
}

TEST(AuthChoice, TakesTheBestThatNeedsAPassword) {
  EXPECT_EQ(chooseMechanism("auto", offering({"LOGIN", "PLAIN", "XOAUTH2", "SCRAM-SHA-256"})),
            ClientMechanism::ScramSha256);
  EXPECT_EQ(chooseMechanism("auto", offering({"LOGIN", "PLAIN"})), ClientMechanism::Plain);
  EXPECT_EQ(chooseMechanism("auto", offering({"CRAM-MD5", "LOGIN"})), ClientMechanism::Login);
}

TEST(AuthChoice, TakesNothingButWhatIsWanted) {
  EXPECT_EQ(chooseMechanism("xoauth2", offering({"PLAIN", "XOAUTH2"})), ClientMechanism::XOAuth2);
  EXPECT_EQ(chooseMechanism("login", offering({"PLAIN", "LOGIN"})), ClientMechanism::Login);
  EXPECT_FALSE(chooseMechanism("scram-sha-256", offering({"PLAIN"})).has_value());
}

TEST(AuthChoice, TakesATokenWhereTheConnectorHasSome) {
  const auto offer = offering({"PLAIN", "XOAUTH2", "OAUTHBEARER", "SCRAM-SHA-256"});
  EXPECT_EQ(chooseMechanism("auto", offer, true), ClientMechanism::OAuthBearer);
  EXPECT_EQ(chooseMechanism("xoauth2", offer, true), ClientMechanism::XOAuth2);
  EXPECT_FALSE(chooseMechanism("auto", offering({"PLAIN"}), true).has_value());
}

TEST(AuthChoice, SaysWhatIsOfferedInstead) {
  const auto none = chooseMechanism("auto", offering({"XOAUTH2", "OAUTHBEARER"}));
  EXPECT_THAT(none.error().detail, HasSubstr("offers AUTH XOAUTH2 OAUTHBEARER"));
  EXPECT_THAT(chooseMechanism("auto", offering({})).error().detail, HasSubstr("offers no AUTH"));
}

}  // namespace
}  // namespace sluice::relay
