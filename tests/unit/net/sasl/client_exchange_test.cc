#include "net/sasl/client_exchange.h"

#include <gtest/gtest.h>

#include "net/sasl/server_exchange.h"

namespace sluice::sasl {
namespace {

using Kind = ClientExchange::Step::Kind;

const ClientCredentials kAnn{"ann", "secret", "smtp.example.net", 587};

TEST(ClientExchange, SaysPlainAtOnce) {
  ClientExchange exchange(ClientMechanism::Plain, kAnn);
  EXPECT_EQ(exchange.begin(), "PLAIN AGFubgBzZWNyZXQ=");
  EXPECT_TRUE(exchange.complete());
  EXPECT_EQ(exchange.onChallenge("").kind, Kind::Fail);
}

TEST(ClientExchange, AnswersLoginWhateverItsPromptsSay) {
  ClientExchange exchange(ClientMechanism::Login, kAnn);
  EXPECT_EQ(exchange.begin(), "LOGIN");
  EXPECT_EQ(exchange.onChallenge("no base64 at all").line, "YW5u");
  EXPECT_EQ(exchange.onChallenge("").line, "c2VjcmV0");
  EXPECT_EQ(exchange.onChallenge("").kind, Kind::Fail);
}

// Google's documentation of XOAUTH2 and RFC 7628 section 4.1.
TEST(ClientExchange, SaysTokensAsTheExamplesDo) {
  ClientExchange google(
      ClientMechanism::XOAuth2,
      {"someuser@example.com", "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg", "", 0});
  EXPECT_EQ(google.begin(),
            "XOAUTH2 dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52"
            "YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ==");
  ClientExchange bearer(ClientMechanism::OAuthBearer,
                        {"user@example.com",
                         "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==", "server.example.com", 587});
  EXPECT_EQ(bearer.begin(),
            "OAUTHBEARER bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9NTg3"
            "AWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB");
}

TEST(ClientExchange, AnswersATokensErrorSoThatTheRefusalComes) {
  ClientExchange google(ClientMechanism::XOAuth2, kAnn);
  google.begin();
  EXPECT_EQ(google.onChallenge("eyJzdGF0dXMiOiI0MDAifQ==").line, "");
  EXPECT_EQ(google.onChallenge("").kind, Kind::Fail);
  ClientExchange bearer(ClientMechanism::OAuthBearer, kAnn);
  bearer.begin();
  EXPECT_EQ(bearer.onChallenge("eyJzdGF0dXMiOiI0MDAifQ==").line, "AQ==");
}

TEST(ClientExchange, CarriesScramToItsEndAndWantsTheServersProof) {
  const auto keys = deriveScramKeys("secret", "salt", 4096).value();
  ClientExchange client(ClientMechanism::ScramSha256, kAnn);
  ServerExchange server(Mechanism::ScramSha256, {});
  const std::string begin = client.begin();
  ASSERT_TRUE(begin.starts_with("SCRAM-SHA-256 "));
  server.start(std::string_view(begin).substr(14));
  server.onVerifier(scramVerifier(keys, "salt", 4096));
  EXPECT_EQ(client.onChallenge(server.challenge()).kind, Kind::NeedKeys);
  EXPECT_EQ(client.salt(), "salt");
  const auto step = client.onKeys(deriveScramKeys("secret", "salt", 4096).value());
  EXPECT_EQ(server.onResponse(step.line), ServerExchange::Next::Challenge);
  EXPECT_FALSE(client.complete()) << "235 now would be from one who knows nothing";
  const auto last = client.onChallenge(server.challenge());
  EXPECT_EQ(last.kind, Kind::Send);
  EXPECT_EQ(last.line, "");
  EXPECT_TRUE(client.complete());
  EXPECT_EQ(server.onResponse(last.line), ServerExchange::Next::Accepted);
}

TEST(ClientExchange, FailsOnWhatIsNoChallenge) {
  for (const char* challenge : {"*", "bm9uc2Vuc2U=", ""}) {
    ClientExchange client(ClientMechanism::ScramSha256, kAnn);
    client.begin();
    EXPECT_EQ(client.onChallenge(challenge).kind, Kind::Fail) << challenge;
  }
}

}  // namespace
}  // namespace sluice::sasl
