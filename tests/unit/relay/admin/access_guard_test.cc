#include "relay/admin/access_guard.h"

#include <gmock/gmock.h>

namespace sluice::relay {
namespace {

using std::chrono::seconds;

bool lets(const AccessGuard& guard, const std::string& host, const std::string& origin = "") {
  net::HttpRequest request;
  request.host = host;
  request.origin = origin;
  return !guard.checkSite(request);
}

int tokenStatus(AccessGuard& guard, const std::string& token, const std::string& client,
                SteadyTime now) {
  net::HttpRequest request;
  request.authorization = "Bearer " + token;
  request.remote = client;
  const auto refusal = guard.checkToken(request, now);
  return refusal ? refusal->status : 200;
}

TEST(AccessGuard, KnowsItsNames) {
  const AccessGuard guard(*Endpoint::parse("127.0.0.1:8025"), "", {"Relay.Example.com:443"});
  for (const char* host : {"localhost", "LOCALHOST:9", "127.0.0.1", "127.0.0.1:8025", "[::1]:8025",
                           "relay.example.com", "Relay.Example.COM.:8025"}) {
    EXPECT_TRUE(lets(guard, host)) << host;
  }
  for (const char* host : {"", "evil.test", "localhost.evil.test", "192.0.2.1", "[", "[]", ":8025",
                           "127.0.0.1.evil.test", "relay.example.com@evil.test"}) {
    EXPECT_FALSE(lets(guard, host)) << host;
  }
}

TEST(AccessGuard, AWildcardIsReachedByAnyAddressButNotByAnyName) {
  const AccessGuard guard(*Endpoint::parse("0.0.0.0:8025"), "x", {});
  EXPECT_TRUE(lets(guard, "192.0.2.1:8025"));
  EXPECT_TRUE(lets(guard, "[2001:db8::1]"));
  EXPECT_FALSE(lets(guard, "evil.test"));
}

TEST(AccessGuard, OriginMustBeOurselves) {
  const AccessGuard guard(*Endpoint::parse("127.0.0.1:8025"), "", {});
  EXPECT_TRUE(lets(guard, "localhost:8025", "http://localhost:8025"));
  EXPECT_TRUE(lets(guard, "localhost:8025", "HTTPS://LocalHost:8025"));
  EXPECT_FALSE(lets(guard, "localhost:8025", "http://localhost:9999"));
  EXPECT_FALSE(lets(guard, "localhost:8025", "http://localhost:8025.evil.test"));
  EXPECT_FALSE(lets(guard, "localhost:8025", "file://localhost:8025"));
}

TEST(AccessGuard, WrongTokensAreThrottledByClientAndForATime) {
  AccessGuard guard(*Endpoint::parse("127.0.0.1:8025"), "right", {});
  const SteadyTime now{seconds(1000)};
  for (int i = 0; i < AccessGuard::kMaxFailures; ++i) {
    EXPECT_EQ(tokenStatus(guard, "wrong", "192.0.2.1", now), 401);
  }
  EXPECT_EQ(tokenStatus(guard, "right", "192.0.2.1", now), 429);
  EXPECT_EQ(tokenStatus(guard, "right", "192.0.2.2", now), 200);
  EXPECT_EQ(tokenStatus(guard, "right", "192.0.2.1", now + seconds(61)), 200);
}

TEST(AccessGuard, ManyClientsDoNotGrowItsMemory) {
  AccessGuard guard(*Endpoint::parse("127.0.0.1:8025"), "right", {});
  const SteadyTime now{seconds(1000)};
  for (int i = 0; i < 5000; ++i) tokenStatus(guard, "wrong", "client" + std::to_string(i), now);
  // Those beyond what is remembered are counted as one, and the others are not harmed.
  EXPECT_EQ(tokenStatus(guard, "right", "client1", now), 200);
}

}  // namespace
}  // namespace sluice::relay
