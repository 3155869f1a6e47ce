// Questions that are spared, shared, given up, and in nobody's way.
#include "tests/unit/net/dns/resolver_fixture.h"

namespace sluice::net {
namespace {

using testing::ElementsAre;

class SharedLookups : public ResolverTest {
 protected:
  SharedLookups() {
    server_.on("example.com", DnsType::Mx,
               [](const FakeQuery& query) { return Answer(query).mx(1, "mx.test"); });
  }
};

TEST_F(SharedLookups, AnswerFromTheCacheAtOnce) {
  static_cast<void>(mx("example.com"));
  bool answered = false;
  const auto lookup = resolver().mx("example.com", [&](Result<MxAnswer> answer) {
    answered = true;
    EXPECT_THAT(names(answer), ElementsAre("mx.test"));
  });
  EXPECT_TRUE(answered);
  EXPECT_EQ(server_.count(), 1u);
}

TEST_F(SharedLookups, TellHowLongTheAnswerIsGood) {
  server_.on("short.test", DnsType::Mx, [](const FakeQuery& query) {
    return Answer(query).mx(1, "a.test", 3600).mx(2, "b.test", 20);
  });
  const auto answer = mx("short.test");
  const auto left = answer->valid_until - loop_->now();
  EXPECT_GT(left, std::chrono::seconds(15));
  EXPECT_LE(left, std::chrono::seconds(20));
}

TEST_F(SharedLookups, RememberThatThereIsNothing) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(codeOf(mx("nowhere.test")), Errc::NoDomain);
  EXPECT_EQ(server_.count(), 1u);
}

TEST_F(SharedLookups, RememberAFailureForAWhile) {
  server_.otherwise([](const FakeQuery& query) { return Answer(query).rcode(DnsRcode::ServFail); });
  for (int i = 0; i < 3; ++i) EXPECT_EQ(codeOf(mx("broken.test")), Errc::DnsFailed);
  EXPECT_EQ(server_.count(), 1u);
}

TEST_F(SharedLookups, AskAgainWhenTheCacheIsFlushed) {
  static_cast<void>(mx("example.com"));
  resolver().flushCache();
  server_.on("example.com", DnsType::Mx,
             [](const FakeQuery& query) { return Answer(query).mx(1, "new.test"); });
  EXPECT_THAT(names(mx("example.com")), ElementsAre("new.test"));
}

TEST_F(SharedLookups, AskOnceForAllWhoWait) {
  std::vector<std::unique_ptr<Lookup>> lookups;
  size_t answered = 0;
  for (int i = 0; i < 50; ++i) {
    lookups.push_back(resolver().mx("example.com", [&answered](Result<MxAnswer> answer) {
      EXPECT_TRUE(answer.has_value());
      ++answered;
    }));
  }
  runUntil([&] { return answered == 50; });
  EXPECT_EQ(server_.count(), 1u);
}

TEST_F(SharedLookups, CallNobodyWhoHasGivenUp) {
  auto given_up = resolver().mx("example.com", [](Result<MxAnswer>) { ADD_FAILURE(); });
  bool answered = false;
  const auto kept = resolver().mx("example.com", [&](Result<MxAnswer>) { answered = true; });
  given_up.reset();
  runUntil([&] { return answered; });
}

TEST_F(SharedLookups, MayBeDroppedFromWithinTheirOwnOrAnotherCallback) {
  std::unique_ptr<Lookup> first;
  std::unique_ptr<Lookup> second;
  int answered = 0;
  const auto drop_both = [&](Result<MxAnswer>) {
    ++answered;
    first.reset();
    second.reset();
  };
  first = resolver().mx("example.com", drop_both);
  second = resolver().mx("example.com", drop_both);
  runUntil([&] { return answered > 0; });
  EXPECT_EQ(answered, 1);
}

TEST_F(SharedLookups, OfAnImplicitMxMayBeDroppedFromWithinToo) {
  server_.on("bare.test", DnsType::Mx, noData);
  server_.on("bare.test", DnsType::Aaaa, noData);
  server_.on("bare.test", DnsType::A,
             [](const FakeQuery& query) { return Answer(query).address("192.0.2.1"); });
  static_cast<void>(addresses("bare.test"));  // now its addresses are in the cache, its MX is not
  std::unique_ptr<Lookup> lookup;
  bool answered = false;
  lookup = resolver().mx("bare.test", [&](Result<MxAnswer> answer) {
    EXPECT_TRUE(answer->implicit);
    lookup.reset();
    answered = true;
  });
  runUntil([&] { return answered; });
}

TEST_F(SharedLookups, MayAskAgainFromWithinTheirCallback) {
  server_.otherwise([](const FakeQuery& query) { return Answer(query).rcode(DnsRcode::ServFail); });
  std::unique_ptr<Lookup> again;
  bool answered = false;
  const auto lookup = resolver().mx("broken.test", [&](Result<MxAnswer>) {
    resolver().flushCache();
    again = resolver().mx("broken.test", [&](Result<MxAnswer>) { answered = true; });
  });
  runUntil([&] { return answered; });
  EXPECT_EQ(server_.count(), 2u);
}

TEST_F(SharedLookups, EndSilentlyWithTheResolver) {
  server_.otherwise(silent);
  std::vector<std::unique_ptr<Lookup>> lookups;
  for (int i = 0; i < 20; ++i) {
    const std::string name = "n" + std::to_string(i % 7) + ".test";
    lookups.push_back(resolver().mx(name, [](Result<MxAnswer>) { ADD_FAILURE(); }));
    lookups.push_back(resolver().addresses(name, [](Result<AddressAnswer>) { ADD_FAILURE(); }));
  }
  runUntil([&] { return server_.count() > 0; });
  resolver_.reset();
  uv_run(loop_->raw(), UV_RUN_NOWAIT);
  lookups.clear();
}

TEST_F(SharedLookups, EndSilentlyWithTheResolverWhenTheAnswersAreThere) {
  const auto lookup = resolver().mx("example.com", [](Result<MxAnswer>) { ADD_FAILURE(); });
  // The answer is read, what follows is deferred, and then comes the end.
  static_cast<void>(
      resolver().addresses("example.com", [](Result<AddressAnswer>) { ADD_FAILURE(); }));
  resolver_.reset();
  uv_run(loop_->raw(), UV_RUN_NOWAIT);
}

TEST_F(SharedLookups, DoNotWaitForSlowDomains) {
  options_.timeout = std::chrono::seconds(5);
  server_.otherwise(silent);
  std::vector<std::unique_ptr<Lookup>> slow;
  for (size_t i = 0; i < 1000; ++i) {  // more than there are channels
    slow.push_back(resolver().mx("slow" + std::to_string(i) + ".test",
                                 [](Result<MxAnswer>) { ADD_FAILURE(); }));
    // The server's socket holds some hundred queries only.
    if (i % 100 == 99) runUntil([&] { return server_.count() == i + 1; });
  }
  const SteadyTime begun = std::chrono::steady_clock::now();
  EXPECT_THAT(names(mx("example.com")), ElementsAre("mx.test"));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(2));
}

TEST_F(SharedLookups, AreRefusedForTheMomentWhenThereAreFarTooMany) {
  server_.otherwise(silent);
  options_.timeout = std::chrono::seconds(30);
  std::vector<std::unique_ptr<Lookup>> lookups;
  size_t refused = 0;
  for (int i = 0; i < 8300; ++i) {
    lookups.push_back(
        resolver().mx("n" + std::to_string(i) + ".test", [&refused](Result<MxAnswer> answer) {
          EXPECT_EQ(answer.error().code, Errc::DnsFailed);
          ++refused;
        }));
  }
  runUntil([&] { return refused > 0; });
  EXPECT_EQ(refused, 8300u - 8192u);
}

TEST_F(SharedLookups, WorkAgainAsSoonAsTheServerDoes) {
  options_.timeout = std::chrono::milliseconds(50);
  server_.otherwise(silent);
  EXPECT_EQ(codeOf(mx("down.test")), Errc::DnsFailed);
  server_.otherwise([](const FakeQuery& query) { return Answer(query).mx(1, "mx.test"); });
  EXPECT_EQ(codeOf(mx("down.test")), Errc::DnsFailed);  // remembered
  resolver().flushCache();                              // as time would
  EXPECT_THAT(names(mx("down.test")), ElementsAre("mx.test"));
}

}  // namespace
}  // namespace sluice::net
