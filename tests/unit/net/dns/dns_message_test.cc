#include "net/dns/dns_message.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/unit/net/dns/fake_name_server.h"

namespace sluice::net {
namespace {

FakeQuery queryFor(const std::string& name, DnsType type) {
  FakeQuery query;
  query.name = name;
  query.type = type;
  query.question =
      Answer::wireName(name) + Answer::u16(static_cast<unsigned>(type)) + Answer::u16(1);
  return query;
}

TEST(EncodeQuery, WritesWhatRfc1035Says) {
  EXPECT_EQ(encodeQuery("a.test", DnsType::Mx, 0x1234, false).value(),
            std::string("\x12\x34\x01\x00\0\1\0\0\0\0\0\0\1a\4test\0\0\x0f\0\1", 24));
  EXPECT_EQ(encodeQuery("a.test", DnsType::Mx, 0x1234, true).value()[3], '\x20');
}

TEST(EncodeQuery, TakesNamesOfFullLengthAndNoLonger) {
  const std::string label(63, 'a');
  const std::string longest = label + '.' + label + '.' + label + '.' + std::string(61, 'a');
  EXPECT_TRUE(encodeQuery(longest, DnsType::A, 1, false).has_value());
  EXPECT_FALSE(encodeQuery(longest + 'a', DnsType::A, 1, false).has_value());
  EXPECT_FALSE(encodeQuery(label + "a.test", DnsType::A, 1, false).has_value());
}

TEST(DecodeAnswer, FollowsCompressedNames) {
  const FakeQuery query = queryFor("example.com", DnsType::Mx);
  const std::string pointer_to_question = Answer::u16(0xc00c);
  const std::string data = Answer::u16(10) + "\2mx" + pointer_to_question;
  const std::string record = pointer_to_question + Answer::u16(15) + Answer::u16(1) +
                             Answer::u32(60) + Answer::u16(static_cast<unsigned>(data.size())) +
                             data;
  const auto message =
      decodeAnswer(Answer(query).claimRecords(1).append(record).bytes(), DnsType::Mx);
  ASSERT_TRUE(message.has_value());
  EXPECT_EQ(message->answers.at(0).owner, "example.com");
  EXPECT_EQ(message->answers.at(0).data, "mx.example.com");
  EXPECT_EQ(message->answers.at(0).ttl_s, 60u);
}

TEST(DecodeAnswer, WritesOddBytesSoThatNoNameCanBeForged) {
  const FakeQuery query = queryFor("example.com", DnsType::Mx);
  const std::string host("\5a.b\0c\0", 7);
  const auto message = decodeAnswer(
      Answer(query).record("example.com", DnsType::Mx, 1, Answer::u16(1) + host).bytes(),
      DnsType::Mx);
  ASSERT_TRUE(message.has_value());
  EXPECT_EQ(message->answers.at(0).data, "a\\046b\\000c");
  EXPECT_FALSE(isHostName(message->answers.at(0).data));
}

TEST(DecodeAnswer, TakesATtlWithTheHighBitForZero) {
  const FakeQuery query = queryFor("a.test", DnsType::A);
  const auto message =
      decodeAnswer(Answer(query).address("192.0.2.1", 0x80000000u).bytes(), DnsType::A);
  EXPECT_EQ(message->answers.at(0).ttl_s, 0u);
}

TEST(DecodeAnswer, TakesTheLesserOfTheSoasTimes) {
  const FakeQuery query = queryFor("a.test", DnsType::A);
  EXPECT_EQ(decodeAnswer(Answer(query).soa(60, 300).bytes(), DnsType::A)->negative_ttl_s, 60u);
  EXPECT_EQ(decodeAnswer(Answer(query).soa(300, 60).bytes(), DnsType::A)->negative_ttl_s, 60u);
}

TEST(DecodeAnswer, SkipsRecordsOfOtherTypesAndClasses) {
  const FakeQuery query = queryFor("a.test", DnsType::A);
  const std::string chaos = Answer::wireName("a.test") + Answer::u16(1) + Answer::u16(3) +
                            Answer::u32(1) + Answer::u16(4) + "abcd";
  const auto message = decodeAnswer(
      Answer(query).record("a.test", DnsType{99}, 1, "what").append(chaos).claimRecords(2).bytes(),
      DnsType::A);
  ASSERT_TRUE(message.has_value());
  EXPECT_TRUE(message->answers.empty());
}

TEST(DecodeAnswer, KeepsABoundedNumberOfRecords) {
  Answer answer(queryFor("a.test", DnsType::A));
  for (unsigned i = 0; i < 1000; ++i) answer.address("192.0.2.1");
  EXPECT_EQ(decodeAnswer(answer.bytes(), DnsType::A)->answers.size(), kMaxRecords);
}

// Whatever the bytes are: no crash, no read beyond the end (the sanitizers look), no unbounded
// time.
TEST(DecodeAnswer, SurvivesEveryMutationOfAMessage) {
  const FakeQuery query = queryFor("example.com", DnsType::Mx);
  const std::string good =
      Answer(query).alias("example.com", "b.test").mx(1, "mx.test").mx(2, "mx2.test").soa().bytes();
  std::mt19937 random(4711);
  for (int round = 0; round < 50'000; ++round) {
    std::string bad = good;
    for (int flips = 1 + static_cast<int>(random() % 4); flips > 0; --flips) {
      bad[random() % bad.size()] = static_cast<char>(random() % 3 == 0 ? 0xc0 : random());
    }
    if (random() % 4 == 0) bad.resize(random() % bad.size());
    if (const auto message = decodeAnswer(bad, DnsType::Mx)) {
      static_cast<void>(followAliases(*message, "example.com", DnsType::Mx, 9));
    }
  }
  EXPECT_TRUE(decodeAnswer(good, DnsType::Mx).has_value());
}

TEST(FollowAliases, StopsAtALoop) {
  DnsMessage message;
  message.answers = {{.owner = "a.test", .type = DnsType::Cname, .data = "b.test"},
                     {.owner = "b.test", .type = DnsType::Cname, .data = "a.test"}};
  EXPECT_TRUE(followAliases(message, "a.test", DnsType::A, 9).too_long);
  EXPECT_EQ(followAliases(message, "c.test", DnsType::A, 9).aliases, 0);
}

TEST(IsHostName, KnowsHostNames) {
  for (const char* name : {"mx.example.com", "localhost", "a_b.test", "xn--bcher-kva.example",
                           "1.2.3.a", "3com.com"}) {
    EXPECT_TRUE(isHostName(name)) << name;
  }
  for (const std::string& name :
       {std::string(""), std::string("."), std::string("a."), std::string(".a"),
        std::string("a..b"), std::string("-a.test"), std::string("a-.test"), std::string("a b"),
        std::string("A.test"), std::string("192.0.2.1"), std::string("2130706433"),
        std::string("a.test\r\nx"), std::string(64, 'a') + ".test", std::string(254, 'a')}) {
    EXPECT_FALSE(isHostName(name)) << name;
  }
}

}  // namespace
}  // namespace sluice::net
