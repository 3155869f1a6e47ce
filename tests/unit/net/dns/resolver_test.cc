#include "net/dns/resolver.h"

#include "tests/unit/net/dns/resolver_fixture.h"

namespace sluice::net {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

TEST_F(ResolverTest, SortsMxHostsByPreferenceAndKeepsTheOrderOfEquals) {
  server_.on("example.com", DnsType::Mx, [](const FakeQuery& query) {
    return Answer(query).mx(20, "c.test").mx(10, "b.test").mx(10, "a.test").mx(5, "MX.Test");
  });
  const auto answer = mx("example.com");
  EXPECT_THAT(names(answer), ElementsAre("mx.test", "b.test", "a.test", "c.test"));
  EXPECT_FALSE(answer->implicit);
  EXPECT_EQ(answer->hosts[3].preference, 20);
}

TEST_F(ResolverTest, KnowsADomainThatTakesNoMail) {
  server_.on("null.test", DnsType::Mx,
             [](const FakeQuery& query) { return Answer(query).mx(0, "."); });
  EXPECT_EQ(codeOf(mx("null.test")), Errc::NullMx);
}

TEST_F(ResolverTest, DropsARootAmongOtherMxHosts) {
  server_.on("odd.test", DnsType::Mx,
             [](const FakeQuery& query) { return Answer(query).mx(0, ".").mx(10, "mx.test"); });
  EXPECT_THAT(names(mx("odd.test")), ElementsAre("mx.test"));
}

TEST_F(ResolverTest, TellsADomainThatDoesNotExist) {
  EXPECT_EQ(codeOf(mx("nowhere.test")), Errc::NoDomain);
  EXPECT_EQ(codeOf(addresses("nowhere.test")), Errc::NoDomain);
}

TEST_F(ResolverTest, AsksNobodyForANameThatCannotExist) {
  for (const std::string& name :
       {std::string("a..b"), std::string(64, 'a') + ".test", std::string(""), std::string("."),
        std::string("a."), std::string(300, 'a')}) {
    EXPECT_EQ(codeOf(mx(name)), Errc::NoDomain) << name;
    EXPECT_EQ(codeOf(addresses(name)), Errc::NoDomain) << name;
  }
  EXPECT_EQ(server_.count(), 0u);
}

class FailingServer : public ResolverTest, public testing::WithParamInterface<DnsRcode> {};
TEST_P(FailingServer, IsATemporaryFailureAndNeverAnAnswer) {
  server_.otherwise(
      [](const FakeQuery& query) -> FakeReply { return Answer(query).rcode(GetParam()); });
  EXPECT_EQ(codeOf(mx("example.com")), Errc::DnsFailed);
  EXPECT_EQ(codeOf(addresses("example.com")), Errc::DnsFailed);
}
INSTANTIATE_TEST_SUITE_P(Rcodes, FailingServer,
                         testing::Values(DnsRcode::ServFail, DnsRcode::Refused, DnsRcode::FormErr,
                                         DnsRcode::NotImp, DnsRcode{9}));

TEST_F(ResolverTest, TakesSilenceForATemporaryFailure) {
  giveUpSoon();
  server_.otherwise(silent);
  EXPECT_EQ(codeOf(mx("example.com")), Errc::DnsFailed);
  EXPECT_EQ(server_.count(), 2u);  // attempts
}

TEST_F(ResolverTest, TakesTheDomainItselfWhereThereIsNoMx) {
  server_.on("four.test", DnsType::Mx, noData);
  server_.on("four.test", DnsType::Aaaa, noData);
  server_.on("four.test", DnsType::A,
             [](const FakeQuery& query) { return Answer(query).address("192.0.2.1"); });
  server_.on("six.test", DnsType::Mx, noData);
  server_.on("six.test", DnsType::A, noData);
  server_.on("six.test", DnsType::Aaaa,
             [](const FakeQuery& query) { return Answer(query).address("2001:db8::1"); });
  for (const char* domain : {"four.test", "six.test"}) {
    const auto answer = mx(domain);
    EXPECT_THAT(names(answer), ElementsAre(domain));
    EXPECT_TRUE(answer->implicit);
  }
}

TEST_F(ResolverTest, TellsADomainWithNeitherMxNorAddress) {
  server_.otherwise(noData);
  EXPECT_EQ(codeOf(mx("empty.test")), Errc::NoData);
  EXPECT_EQ(codeOf(addresses("empty.test")), Errc::NoData);
}

TEST_F(ResolverTest, DoesNotCallADomainEmptyWhoseAddressesCouldNotBeFound) {
  server_.otherwise([](const FakeQuery& query) { return Answer(query).rcode(DnsRcode::ServFail); });
  server_.on("half.test", DnsType::Mx, noData);
  server_.on("half.test", DnsType::A, noData);
  EXPECT_EQ(codeOf(mx("half.test")), Errc::DnsFailed);
}

TEST_F(ResolverTest, DropsMxHostsThatAreNoHostNames) {
  server_.on("example.com", DnsType::Mx, [](const FakeQuery& query) {
    return Answer(query)
        .mx(1, "192.0.2.1")
        .mx(2, "evil\r\nname.test")
        .mx(3, "spa ce.test")
        .mx(4, "-x.test")
        .mx(9, "good_name.test");
  });
  EXPECT_THAT(names(mx("example.com")), ElementsAre("good_name.test"));
}

TEST_F(ResolverTest, TakesADomainWithoutAnyUsableMxHostForAFailure) {
  server_.on("example.com", DnsType::Mx,
             [](const FakeQuery& query) { return Answer(query).mx(1, "192.0.2.1"); });
  server_.on("example.com", DnsType::A,
             [](const FakeQuery& query) { return Answer(query).address("192.0.2.1"); });
  EXPECT_EQ(codeOf(mx("example.com")), Errc::DnsFailed);
}

TEST_F(ResolverTest, KeepsTheBestOfTooManyMxHosts) {
  server_.on("many.test", DnsType::Mx, [](const FakeQuery& query) -> FakeReply {
    if (!query.tcp) return Answer(query).truncated();
    Answer answer(query);
    for (unsigned i = 800; i-- > 0;) answer.mx(i % 400, "mx" + std::to_string(i) + ".test");
    return answer;
  });
  const auto answer = mx("many.test");
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->hosts.size(), kMaxMxHosts);
  EXPECT_EQ(answer->hosts[0].preference, 0);
}

TEST_F(ResolverTest, GivesIpv6AndIpv4InTurn) {
  server_.on("host.test", DnsType::A, [](const FakeQuery& query) {
    return Answer(query).address("192.0.2.1").address("192.0.2.2").address("192.0.2.2");
  });
  server_.on("host.test", DnsType::Aaaa, [](const FakeQuery& query) {
    return Answer(query).address("2001:db8::1").address("2001:db8::2").address("2001:db8::3");
  });
  EXPECT_THAT(texts(addresses("host.test")),
              ElementsAre("2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "2001:db8::3"));
}

TEST_F(ResolverTest, FindsOneFamilyAlthoughTheOtherFails) {
  server_.on("host.test", DnsType::A,
             [](const FakeQuery& query) { return Answer(query).address("192.0.2.1"); });
  server_.on("host.test", DnsType::Aaaa,
             [](const FakeQuery& query) { return Answer(query).rcode(DnsRcode::ServFail); });
  EXPECT_THAT(texts(addresses("host.test")), ElementsAre("192.0.2.1"));
}

TEST_F(ResolverTest, DoesNotWaitLongForTheOtherFamily) {
  options_.timeout = std::chrono::seconds(15);
  server_.on("host.test", DnsType::A,
             [](const FakeQuery& query) { return Answer(query).address("192.0.2.1"); });
  server_.on("host.test", DnsType::Aaaa, silent);
  const SteadyTime begun = std::chrono::steady_clock::now();
  EXPECT_THAT(texts(addresses("host.test")), ElementsAre("192.0.2.1"));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(5));
}

// "::ffff:127.0.0.1" in an AAAA record must not get past a rule about 127.0.0.1.
TEST_F(ResolverTest, TakesAMappedAddressForWhatItMeans) {
  server_.on("host.test", DnsType::A, noData);
  server_.on("host.test", DnsType::Aaaa, [](const FakeQuery& query) {
    return Answer(query).record(query.name, DnsType::Aaaa, 300,
                                std::string("\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 16));
  });
  const auto answer = addresses("host.test");
  ASSERT_TRUE(answer.has_value());
  EXPECT_TRUE(answer->addresses[0].isV4());
  EXPECT_TRUE(answer->addresses[0].isLoopback());
}

TEST_F(ResolverTest, JoinsTheStringsOfATextRecord) {
  server_.on("example.com", DnsType::Txt, [](const FakeQuery& query) {
    return Answer(query).txt({"v=spf1 ", "-all"}).txt({"other"});
  });
  std::optional<Result<std::vector<std::string>>> result;
  const auto lookup = resolver().txt(
      "example.com", [&](Result<std::vector<std::string>> texts) { result = std::move(texts); });
  runUntil([&] { return result.has_value(); });
  EXPECT_THAT(result->value(), ElementsAre("v=spf1 -all", "other"));
}

TEST_F(ResolverTest, ReadsTlsaRecordsAndWhetherTheyWereValidated) {
  options_.trust_ad = true;
  server_.on("_25._tcp.mx.test", DnsType::Tlsa, [](const FakeQuery& query) {
    return Answer(query)
        .record(query.name, DnsType::Tlsa, 300, std::string("\3\1\1", 3) + std::string(32, 'h'))
        .authentic();
  });
  std::optional<Result<TlsaAnswer>> result;
  const auto lookup = resolver().tlsa(
      "_25._tcp.mx.test", [&](Result<TlsaAnswer> answer) { result = std::move(answer); });
  runUntil([&] { return result.has_value(); });
  ASSERT_TRUE(result->has_value());
  EXPECT_THAT((*result)->records, ElementsAre(TlsaRecord{3, 1, 1, std::string(32, 'h')}));
  EXPECT_TRUE((*result)->secure);
  EXPECT_TRUE(server_.queries()[0].wants_ad);
}

TEST_F(ResolverTest, BelievesNoServerThatItWasNotToldToTrust) {
  server_.on("example.com", DnsType::Mx,
             [](const FakeQuery& query) { return Answer(query).mx(1, "mx.test").authentic(); });
  EXPECT_FALSE(mx("example.com")->secure);
  EXPECT_FALSE(server_.queries()[0].wants_ad);
}

TEST_F(ResolverTest, CallsAnswersSecureOnlyIfAllOfTheWayIs) {
  options_.trust_ad = true;
  server_.on("a.test", DnsType::Mx,
             [](const FakeQuery& query) { return Answer(query).alias("a.test", "b.test"); });
  server_.on("b.test", DnsType::Mx,
             [](const FakeQuery& query) { return Answer(query).mx(1, "mx.test").authentic(); });
  EXPECT_FALSE(mx("a.test")->secure);
  EXPECT_TRUE(mx("b.test")->secure);
}

// Who can only hold back or spoil the other family's answer must not decide what is believed.
TEST_F(ResolverTest, CallsAddressesSecureWhateverBecomesOfTheOtherFamily) {
  options_.trust_ad = true;
  const auto validated = [](const FakeQuery& query) {
    return Answer(query).address("192.0.2.1").authentic();
  };
  server_.on("bogus.test", DnsType::A, validated);
  server_.on("bogus.test", DnsType::Aaaa,
             [](const FakeQuery& query) { return Answer(query).rcode(DnsRcode::ServFail); });
  server_.on("v4.test", DnsType::A, validated);
  server_.on("v4.test", DnsType::Aaaa, noData);
  server_.on("mixed.test", DnsType::A, validated);
  server_.on("mixed.test", DnsType::Aaaa,
             [](const FakeQuery& query) { return Answer(query).address("2001:db8::1"); });
  EXPECT_TRUE(addresses("bogus.test")->secure);
  EXPECT_TRUE(addresses("v4.test")->secure);
  EXPECT_FALSE(addresses("mixed.test")->secure);
}

TEST_F(ResolverTest, TellsWhereTheAliasesOfAHostEnd) {
  server_.on("alias.test", DnsType::A, [](const FakeQuery& query) {
    return Answer(query).alias("alias.test", "end.test").addressOf("end.test", "192.0.2.1");
  });
  server_.on("alias.test", DnsType::Aaaa, noData);
  server_.on("end.test", DnsType::A,
             [](const FakeQuery& query) { return Answer(query).address("192.0.2.1"); });
  server_.on("end.test", DnsType::Aaaa, noData);
  EXPECT_EQ(addresses("alias.test")->canonical, "end.test");
  EXPECT_EQ(addresses("end.test")->canonical, "");
}

// That there is a record says something, even if nobody can use it.
TEST_F(ResolverTest, KeepsTlsaRecordsOfAnyLength) {
  const auto of_bytes = [](size_t bytes) {
    return [bytes](const FakeQuery& query) {
      return Answer(query).record(query.name, DnsType::Tlsa, 300,
                                  std::string("\3\0\0", 3) + std::string(bytes, 'c'));
    };
  };
  server_.on("_25._tcp.long.test", DnsType::Tlsa, of_bytes(2000));
  server_.on("_25._tcp.huge.test", DnsType::Tlsa, of_bytes(30'000));
  const auto lengths = [this](const std::string& name) {
    std::optional<Result<TlsaAnswer>> result;
    const auto lookup =
        resolver().tlsa(name, [&](Result<TlsaAnswer> answer) { result = std::move(answer); });
    runUntil([&] { return result.has_value(); });
    std::vector<size_t> all;
    for (const TlsaRecord& record : (*result)->records) all.push_back(record.data.size());
    return all;
  };
  EXPECT_THAT(lengths("_25._tcp.long.test"), ElementsAre(2000u));
  EXPECT_THAT(lengths("_25._tcp.huge.test"), ElementsAre(0u));
}

TEST_F(ResolverTest, AsksTheNextServerWhenOneFails) {
  giveUpSoon();
  FakeNameServer broken;
  broken.otherwise([](const FakeQuery& query) { return Answer(query).rcode(DnsRcode::ServFail); });
  FakeNameServer dead;
  dead.otherwise(silent);
  options_.servers = {broken.endpoint(), dead.endpoint(), server_.endpoint()};
  server_.on("example.com", DnsType::Mx,
             [](const FakeQuery& query) { return Answer(query).mx(1, "mx.test"); });
  EXPECT_THAT(names(mx("example.com")), ElementsAre("mx.test"));
}

TEST_F(ResolverTest, SaysSoWhenNobodyListensAtTheServersPort) {
  options_.servers = {Endpoint::parse("127.0.0.1:1").value()};
  EXPECT_EQ(codeOf(mx("example.com")), Errc::DnsFailed);
}

TEST_F(ResolverTest, TakesLiteralsAndLocalhostForSmartHostsOnly) {
  const auto ask = [this](const std::string& host) {
    std::optional<Result<AddressAnswer>> result;
    const auto lookup = resolver().smartHostAddresses(
        host, [&](Result<AddressAnswer> answer) { result = std::move(answer); });
    runUntil([&] { return result.has_value(); });
    return *result;
  };
  EXPECT_THAT(texts(ask("192.0.2.1")), ElementsAre("192.0.2.1"));
  EXPECT_THAT(texts(ask("2001:db8::1")), ElementsAre("2001:db8::1"));
  EXPECT_THAT(texts(ask("localhost")), UnorderedElementsAre("::1", "127.0.0.1"));
  EXPECT_EQ(server_.count(), 0u);
  EXPECT_EQ(codeOf(addresses("localhost")), Errc::NoDomain);
  EXPECT_EQ(codeOf(ask("nowhere.test")), Errc::NoDomain);
}

TEST_F(ResolverTest, CountsLookUpsByTypeAndResult) {
  server_.on("example.com", DnsType::Mx,
             [](const FakeQuery& query) { return Answer(query).mx(1, "mx.test"); });
  static_cast<void>(mx("example.com"));
  static_cast<void>(mx("example.com"));  // from the cache
  static_cast<void>(mx("nowhere.test"));
  const auto total = [this](size_t type, size_t result) {
    const auto& histogram = metrics_.seconds[type][result];
    uint64_t sum = 0;
    for (size_t i = 0; i <= histogram.bounds().size(); ++i) sum += histogram.count(i);
    return sum;
  };
  EXPECT_EQ(total(0, 0), 1u);
  EXPECT_EQ(total(0, 1), 1u);
}

}  // namespace
}  // namespace sluice::net
