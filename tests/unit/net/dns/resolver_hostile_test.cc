// Name servers, and those who pretend to be one, that lie, break off or trickle.
#include <set>

#include "tests/unit/net/dns/resolver_fixture.h"

namespace sluice::net {
namespace {

using testing::ElementsAre;

class HostileDns : public ResolverTest {
 protected:
  // Truncated over UDP; over TCP what `tcp` says.
  void overTcp(const std::string& name, FakeNameServer::Handler tcp) {
    server_.on(name, DnsType::Mx, [tcp](const FakeQuery& query) -> FakeReply {
      if (!query.tcp) return Answer(query).truncated();
      return tcp(query);
    });
  }
  Duration deadline() const {
    return options_.timeout * options_.attempts * static_cast<int>(options_.servers.size());
  }
  void expectFailureInTime(const std::string& name) {
    giveUpSoon();
    const SteadyTime begun = std::chrono::steady_clock::now();
    EXPECT_EQ(codeOf(mx(name)), Errc::DnsFailed);
    EXPECT_LT(std::chrono::steady_clock::now() - begun,
              deadline() + std::chrono::milliseconds(500));
  }
};

TEST_F(HostileDns, TurnsToTcpWhenAnAnswerIsTruncated) {
  overTcp("big.test", [](const FakeQuery& query) { return Answer(query).mx(1, "mx.test"); });
  EXPECT_THAT(names(mx("big.test")), ElementsAre("mx.test"));
}

TEST_F(HostileDns, GivesUpOnAnAnswerThatIsTruncatedOverTcpToo) {
  overTcp("big.test", [](const FakeQuery& query) { return Answer(query).truncated(); });
  expectFailureInTime("big.test");
}

TEST_F(HostileDns, GivesUpWhenTheTcpConnectionCloses) {
  overTcp("big.test", [](const FakeQuery&) { return FakeReply{.close = true}; });
  expectFailureInTime("big.test");
}

TEST_F(HostileDns, GivesUpWhenTheTcpConnectionSaysNothing) {
  overTcp("big.test", silent);
  expectFailureInTime("big.test");
}

TEST_F(HostileDns, GivesUpInTimeOnAnAnswerThatTrickles) {
  overTcp("big.test", [](const FakeQuery& query) -> FakeReply {
    FakeReply reply = Answer(query).mx(1, "mx.test").mx(2, "mx2.test").mx(3, "mx3.test");
    reply.trickle = true;
    return reply;
  });
  expectFailureInTime("big.test");
}

TEST_F(HostileDns, UsesTheTrueAnswerBehindAHundredForgedOnes) {
  server_.on("target.test", DnsType::Mx, [](const FakeQuery& query) {
    FakeReply reply;
    for (unsigned i = 1; i <= 100; ++i) {
      reply.messages.push_back(Answer(query).mx(1, "forged.test").id(query.id + i).bytes());
    }
    reply.messages.push_back(Answer(query).mx(1, "true.test").bytes());
    return reply;
  });
  EXPECT_THAT(names(mx("target.test")), ElementsAre("true.test"));
}

TEST_F(HostileDns, IgnoresAnswersToOtherQuestions) {
  server_.on("target.test", DnsType::Mx, [](const FakeQuery& query) {
    FakeReply reply;
    const std::string tail = query.question.substr(query.question.size() - 4);
    const auto other = Answer::wireName("other.test") + tail;
    reply.messages.push_back(Answer(query).question(other).mx(1, "forged.test").bytes());
    reply.messages.push_back(Answer(query).mx(1, "true.test").bytes());
    return reply;
  });
  EXPECT_THAT(names(mx("target.test")), ElementsAre("true.test"));
}

TEST_F(HostileDns, IsHardToForgeAnswersFor) {
  std::vector<std::unique_ptr<Lookup>> lookups;
  size_t answered = 0;
  for (int i = 0; i < 200; ++i) {
    lookups.push_back(resolver().mx("n" + std::to_string(i) + ".test",
                                    [&answered](Result<MxAnswer>) { ++answered; }));
  }
  runUntil([&] { return answered == 200; });
  std::set<uint16_t> ids;
  std::set<uint16_t> ports;
  for (const auto& query : server_.queries()) {
    ids.insert(query.id);
    ports.insert(query.source_port);
  }
  EXPECT_GE(ids.size(), 195u);
  EXPECT_GT(ports.size(), 50u);
}

TEST_F(HostileDns, ChangesItsPortFromQuestionToQuestion) {
  for (int i = 0; i < 20; ++i) static_cast<void>(mx("n" + std::to_string(i) + ".test"));
  std::set<uint16_t> ports;
  for (const auto& query : server_.queries()) ports.insert(query.source_port);
  EXPECT_GT(ports.size(), 15u);
}

// One broken message each: none may be more than a failure, and the next question is answered.
struct Broken {
  const char* name;
  std::string (*message)(const FakeQuery&);
};
void PrintTo(const Broken& broken, std::ostream* out) { *out << broken.name; }

std::string header(const FakeQuery& query) { return Answer(query).bytes().substr(0, 12); }

const Broken kBroken[] = {
    {"no_answer_bit",
     [](const FakeQuery& q) { return Answer(q).mx(1, "mx.test").flags(0x0100).bytes(); }},
    {"other_opcode",
     [](const FakeQuery& q) { return Answer(q).mx(1, "mx.test").flags(0xa980).bytes(); }},
    {"too_many_claimed",
     [](const FakeQuery& q) { return Answer(q).mx(1, "a.test").claimRecords(0xffff).bytes(); }},
    {"header_only", [](const FakeQuery& q) { return header(q); }},
    {"half_a_header", [](const FakeQuery& q) { return header(q).substr(0, 5); }},
    {"empty", [](const FakeQuery&) { return std::string(); }},
    {"one_byte_mx",
     [](const FakeQuery& q) { return Answer(q).record(q.name, DnsType::Mx, 1, "x").bytes(); }},
    {"mx_without_name",
     [](const FakeQuery& q) {
       return Answer(q).record(q.name, DnsType::Mx, 1, Answer::u16(1)).bytes();
     }},
    {"length_past_the_end",
     [](const FakeQuery& q) {
       return Answer(q)
           .claimRecords(1)
           .append(Answer::wireName(q.name) + Answer::u16(15) + Answer::u16(1) + Answer::u32(1) +
                   Answer::u16(500) + "short")
           .bytes();
     }},
    {"bytes_behind_the_name",
     [](const FakeQuery& q) {
       return Answer(q)
           .record(q.name, DnsType::Mx, 1, Answer::u16(1) + Answer::wireName("mx.test") + "x")
           .bytes();
     }},
    {"name_past_its_record",
     [](const FakeQuery& q) {
       return Answer(q)
           .record(q.name, DnsType::Mx, 1, Answer::u16(1) + "\x3f")
           .mx(1, "mx.test")
           .bytes();
     }},
    {"pointer_to_itself",
     [](const FakeQuery& q) {
       const auto at = static_cast<unsigned>(12 + q.question.size());
       return Answer(q)
           .claimRecords(1)
           .append(Answer::u16(0xc000 | at) + Answer::u16(15) + Answer::u16(1) + Answer::u32(1) +
                   Answer::u16(0))
           .bytes();
     }},
    {"pointer_to_the_front_and_back",
     [](const FakeQuery& q) {
       // A label, then a pointer to that label: round and round.
       const auto at = static_cast<unsigned>(12 + q.question.size());
       return Answer(q).claimRecords(1).append("\x01z" + Answer::u16(0xc000 | at)).bytes();
     }},
    {"pointer_past_the_end",
     [](const FakeQuery& q) {
       return Answer(q).claimRecords(1).append(Answer::u16(0xffff) + std::string(10, '\1')).bytes();
     }},
    {"reserved_label_type",
     [](const FakeQuery& q) {
       return Answer(q).claimRecords(1).append("\x80" + std::string(20, '\1')).bytes();
     }},
    {"name_of_300_bytes",
     [](const FakeQuery& q) {
       std::string name;
       for (int i = 0; i < 5; ++i) name += '\x3b' + std::string(59, 'a');
       return Answer(q).record(q.name, DnsType::Mx, 1, Answer::u16(1) + name + '\0').bytes();
     }},
    {"soa_cut_short",
     [](const FakeQuery& q) {
       std::string message = Answer(q).soa().bytes();
       message.resize(message.size() - 3);
       return message;
     }},
};

class BrokenMessage : public HostileDns, public testing::WithParamInterface<Broken> {};
TEST_P(BrokenMessage, IsAFailureAndNothingWorse) {
  options_.attempts = 5;
  server_.on("broken.test", DnsType::Mx, [](const FakeQuery& query) {
    return FakeReply{.messages = {GetParam().message(query)}};
  });
  server_.on("good.test", DnsType::Mx,
             [](const FakeQuery& query) { return Answer(query).mx(1, "mx.test"); });
  expectFailureInTime("broken.test");
  EXPECT_THAT(names(mx("good.test")), ElementsAre("mx.test"));
}
INSTANTIATE_TEST_SUITE_P(All, BrokenMessage, testing::ValuesIn(kBroken),
                         [](const auto& one) { return std::string(one.param.name); });

TEST_F(HostileDns, TakesNoAddressOfThreeOrFiveBytes) {
  for (const size_t bytes : {3u, 5u}) {
    const std::string name = "a" + std::to_string(bytes) + ".test";
    server_.on(name, DnsType::A, [bytes](const FakeQuery& query) {
      return Answer(query).record(query.name, DnsType::A, 300, std::string(bytes, '\1'));
    });
    server_.on(name, DnsType::Aaaa, noData);
    EXPECT_EQ(codeOf(addresses(name)), Errc::DnsFailed);
  }
}

}  // namespace
}  // namespace sluice::net
