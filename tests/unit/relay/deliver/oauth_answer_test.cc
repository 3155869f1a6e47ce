#include "relay/deliver/oauth_answer.h"

#include <gmock/gmock.h>

namespace sluice::relay {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

net::HttpAnswer answer(int status, std::string body) {
  net::HttpAnswer made;
  made.status = status;
  made.body = std::move(body);
  return made;
}

Result<OAuthToken> read(const std::string& body) { return readTokenAnswer(answer(200, body)); }

TEST(OAuthAnswer, GivesTheTokenAndItsLife) {
  const auto token =
      read(R"({"token_type":"Bearer","expires_in":3599,"access_token":"eyJ0.a-b_c"})");
  ASSERT_TRUE(token);
  EXPECT_EQ(token->text, "eyJ0.a-b_c");
  EXPECT_EQ(token->lifetime, 3599s);
}

TEST(OAuthAnswer, TakesLivesAsEndpointsWriteThem) {
  const auto life = [](const std::string& value) {
    const auto token =
        read(R"({"token_type":"bearer","access_token":"t","expires_in":)" + value + "}");
    return token ? token->lifetime : -1s;
  };
  EXPECT_EQ(life("\"3600\""), 3600s);
  EXPECT_EQ(life("1e300"), kMaxTokenLifetime);
  EXPECT_EQ(life("-5"), kUntoldTokenLifetime);
  EXPECT_EQ(life("null"), kUntoldTokenLifetime);
  EXPECT_EQ(read(R"({"token_type":"BEARER","access_token":"t"})")->lifetime, kUntoldTokenLifetime);
}

TEST(OAuthAnswer, WhatIsNoBearerTokenIsNone) {
  for (const std::string& body :
       {std::string(), std::string("<html>"), std::string("[]"), std::string("\"t\""),
        std::string(R"({"token_type":"Bearer"})"),
        std::string(R"({"token_type":"Bearer","access_token":""})"),
        std::string(R"({"token_type":"Bearer","access_token":"a b"})"),
        std::string(R"({"token_type":"Bearer","access_token":"a\u0001b"})"),
        std::string(R"({"token_type":"Bearer","access_token":7})"),
        std::string(R"({"token_type":"mac","access_token":"t"})"),
        std::string(R"({"access_token":"t"})"),
        R"({"token_type":"Bearer","access_token":")" + std::string(20'000, 'x') + "\"}",
        std::string(60'000, '[')}) {
    EXPECT_FALSE(read(body)) << body.substr(0, 100);
  }
}

TEST(OAuthAnswer, SaysWhatToChange) {
  const auto said = [](int status, const std::string& body) {
    return readTokenAnswer(answer(status, body)).error().detail;
  };
  EXPECT_THAT(said(401, R"({"error":"invalid_client"})"), HasSubstr("oauth_client_secret_file"));
  EXPECT_THAT(said(400, R"({"error":"invalid_grant"})"), HasSubstr("oauth_refresh_token_file"));
  EXPECT_THAT(said(403, "no"), HasSubstr("Check oauth_token_url"));
  EXPECT_THAT(said(500, R"({"error":"server_error"})"), Not(HasSubstr("fault of this relay")));
}

TEST(OAuthAnswer, WhatTheEndpointSaysIsShortAndPlain) {
  const std::string long_words(10'000, 'x');
  const std::string said =
      readTokenAnswer(
          answer(400, R"({"error":"a\r\nb","error_description":")" + long_words + "\"}"))
          .error()
          .detail;
  EXPECT_LT(said.size(), 600u);
  EXPECT_EQ(said.find('\n'), std::string::npos);
}

}  // namespace
}  // namespace sluice::relay
