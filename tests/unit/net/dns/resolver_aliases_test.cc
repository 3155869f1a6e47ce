// CNAME chains: those that lead somewhere, and those made to lead nowhere.
#include "tests/unit/net/dns/resolver_fixture.h"

namespace sluice::net {
namespace {

using testing::ElementsAre;

class Aliases : public ResolverTest {
 protected:
  static std::string link(int i) { return "c" + std::to_string(i) + ".test"; }
  // c0 -> c1 -> ... -> c<links>, one alias an answer.
  void makeChain(int links, DnsType type) {
    for (int i = 0; i < links; ++i) {
      server_.on(link(i), type,
                 [i](const FakeQuery& query) { return Answer(query).alias(link(i), link(i + 1)); });
    }
  }
};

TEST_F(Aliases, AreFollowedWithinAnAnswer) {
  server_.on(link(0), DnsType::Mx, [](const FakeQuery& query) -> FakeReply {
    Answer answer(query);
    for (int i = 7; i >= 0; --i) answer.alias(link(i), link(i + 1));  // in whatever order
    return answer.record(link(8), DnsType::Mx, 300, Answer::u16(10) + Answer::wireName("mx.test"));
  });
  EXPECT_THAT(names(mx(link(0))), ElementsAre("mx.test"));
  EXPECT_EQ(server_.count(), 1u);
}

TEST_F(Aliases, AreFollowedFromAnswerToAnswer) {
  for (const DnsType type : {DnsType::A, DnsType::Aaaa}) makeChain(8, type);
  server_.on(link(8), DnsType::A,
             [](const FakeQuery& query) { return Answer(query).address("192.0.2.1"); });
  server_.on(link(8), DnsType::Aaaa, noData);
  EXPECT_THAT(texts(addresses(link(0))), ElementsAre("192.0.2.1"));
  EXPECT_LE(server_.count(), 20u);
}

TEST_F(Aliases, LeadToTheImplicitMxToo) {
  for (const DnsType type : {DnsType::Mx, DnsType::A, DnsType::Aaaa}) {
    server_.on("alias.test", type, [](const FakeQuery& query) {
      return Answer(query).alias("alias.test", "real.test");
    });
    server_.on("real.test", type, noData);
  }
  server_.on("real.test", DnsType::A,
             [](const FakeQuery& query) { return Answer(query).address("192.0.2.1"); });
  const auto answer = mx("alias.test");
  EXPECT_THAT(names(answer), ElementsAre("alias.test"));
  EXPECT_TRUE(answer->implicit);
}

TEST_F(Aliases, AsMxHostsAreTolerated) {
  server_.on("example.com", DnsType::Mx,
             [](const FakeQuery& query) { return Answer(query).mx(1, "alias.test"); });
  server_.on("alias.test", DnsType::A, [](const FakeQuery& query) {
    return Answer(query).alias("alias.test", "real.test").addressOf("real.test", "192.0.2.1");
  });
  server_.on("alias.test", DnsType::Aaaa, [](const FakeQuery& query) {
    return Answer(query).alias("alias.test", "real.test").soa();
  });
  EXPECT_THAT(names(mx("example.com")), ElementsAre("alias.test"));
  EXPECT_THAT(texts(addresses("alias.test")), ElementsAre("192.0.2.1"));
}

TEST_F(Aliases, OfANameThatDoesNotExistDoNotExistEither) {
  server_.on("alias.test", DnsType::Mx, [](const FakeQuery& query) {
    return Answer(query).alias("alias.test", "gone.test").rcode(DnsRcode::NxDomain).soa();
  });
  EXPECT_EQ(codeOf(mx("alias.test")), Errc::NoDomain);
}

TEST_F(Aliases, InALoopEndAsAFailure) {
  for (const DnsType type : {DnsType::Mx, DnsType::A, DnsType::Aaaa}) {
    server_.on("self.test", type, [](const FakeQuery& query) {
      return Answer(query).alias("self.test", "self.test");
    });
    server_.on("a.test", type,
               [](const FakeQuery& query) { return Answer(query).alias("a.test", "b.test"); });
    server_.on("b.test", type,
               [](const FakeQuery& query) { return Answer(query).alias("b.test", "a.test"); });
  }
  const SteadyTime begun = std::chrono::steady_clock::now();
  for (const char* name : {"self.test", "a.test"}) {
    const size_t before = server_.count();
    EXPECT_EQ(codeOf(mx(name)), Errc::DnsFailed);
    EXPECT_EQ(codeOf(addresses(name)), Errc::DnsFailed);
    EXPECT_LE(server_.count() - before, 30u);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(2));
}

TEST_F(Aliases, FiftyInARowEndWithinTwentyQuestions) {
  for (const DnsType type : {DnsType::Mx, DnsType::A, DnsType::Aaaa}) makeChain(50, type);
  EXPECT_EQ(codeOf(mx(link(0))), Errc::DnsFailed);
  EXPECT_LE(server_.count(), 20u);
  const size_t before = server_.count();
  EXPECT_EQ(codeOf(addresses(link(0))), Errc::DnsFailed);
  EXPECT_LE(server_.count() - before, 20u);
}

TEST_F(Aliases, ToNamesWithOddBytesAreNotAskedFor) {
  server_.on("alias.test", DnsType::Mx, [](const FakeQuery& query) {
    return Answer(query).alias("alias.test", std::string("a\0b.test", 8));
  });
  EXPECT_EQ(codeOf(mx("alias.test")), Errc::DnsFailed);
  EXPECT_EQ(server_.count(), 1u);
}

TEST_F(Aliases, BringNoRecordsOfStrangers) {
  server_.on("example.com", DnsType::A, [](const FakeQuery& query) {
    return Answer(query).addressOf("victim.test", "192.0.2.66").soa();
  });
  server_.on("example.com", DnsType::Aaaa, noData);
  EXPECT_EQ(codeOf(addresses("example.com")), Errc::NoData);
  EXPECT_EQ(codeOf(addresses("victim.test")), Errc::NoDomain);
}

}  // namespace
}  // namespace sluice::net
