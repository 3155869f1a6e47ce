#include "net/dns/record_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/dns/dns_cache.h"

namespace sluice::net {
namespace {

using std::chrono::seconds;

const SteadyTime kNow{std::chrono::hours(100)};

DnsRecord address(const std::string& owner, const std::string& text, uint32_t ttl_s) {
  return {.owner = owner,
          .type = DnsType::A,
          .ttl_s = ttl_s,
          .address = IpAddress::parse(text).value()};
}

RecordSet setOf(const DnsMessage& message, DnsType type = DnsType::A) {
  return recordSetOf(message, followAliases(message, "a.test", type, 9), type, kNow);
}

TEST(RecordSet, IsGoodForTheLeastTtlOfTheWay) {
  DnsMessage message;
  message.answers = {{.owner = "a.test", .type = DnsType::Cname, .ttl_s = 30, .data = "b.test"},
                     address("b.test", "192.0.2.1", 300)};
  EXPECT_EQ(setOf(message).valid_until - kNow, seconds(30));
}

TEST(RecordSet, IsGoodForADayAtMostAndAMomentAtLeast) {
  DnsMessage message;
  message.answers = {address("a.test", "192.0.2.1", 10'000'000)};
  EXPECT_EQ(setOf(message).valid_until - kNow, kMaxTtl);
  message.answers = {address("a.test", "192.0.2.1", 0)};
  EXPECT_EQ(setOf(message).valid_until - kNow, kMinTtl);
}

TEST(RecordSet, RemembersNothingAsLongAsTheZoneSaysUpToALimit) {
  DnsMessage message{.rcode = DnsRcode::NxDomain, .negative_ttl_s = 60};
  EXPECT_EQ(setOf(message).outcome, RecordSet::Outcome::NoDomain);
  EXPECT_EQ(setOf(message).valid_until - kNow, seconds(60));
  message.negative_ttl_s = 1'000'000;
  EXPECT_EQ(setOf(message).valid_until - kNow, kMaxNegativeTtl);
  message = {};
  EXPECT_EQ(setOf(message).outcome, RecordSet::Outcome::NoData);
  EXPECT_EQ(setOf(message).valid_until - kNow, kNegativeTtlWithoutSoa);
}

TEST(RecordSet, RemembersFailuresForTenSecondsAtMost) {
  EXPECT_LE(failedRecordSet("why", kNow).valid_until - kNow, seconds(10));
  DnsMessage message;
  message.answers = {{.owner = "a.test", .type = DnsType::Mx, .ttl_s = 3600, .data = "192.0.2.1"}};
  const RecordSet set = setOf(message, DnsType::Mx);
  EXPECT_EQ(set.outcome, RecordSet::Outcome::Failed);
  EXPECT_LE(set.valid_until - kNow, seconds(10));
}

TEST(RecordSet, IsBoundedInMemory) {
  DnsMessage message;
  for (size_t i = 0; i < kMaxRecords; ++i) {
    message.answers.push_back({.owner = "a.test",
                               .type = DnsType::Txt,
                               .ttl_s = 1,
                               .data = std::string(kMaxTxtBytes, 'x')});
  }
  EXPECT_LT(setOf(message, DnsType::Txt).bytes(), 64u * 1024);
}

SharedRecordSet goodUntil(SteadyTime time, size_t text_bytes = 0) {
  RecordSet set;
  set.outcome = RecordSet::Outcome::Found;
  set.texts = {std::string(text_bytes, 'x')};
  set.valid_until = time;
  return std::make_shared<const RecordSet>(std::move(set));
}

TEST(DnsCache, ForgetsAnAnswerWhenItsTimeIsOver) {
  DnsCache cache(10);
  cache.store("a.test", DnsType::A, goodUntil(kNow + seconds(30)));
  EXPECT_NE(cache.find("a.test", DnsType::A, kNow + seconds(29)), nullptr);
  EXPECT_EQ(cache.find("a.test", DnsType::A, kNow + seconds(30)), nullptr);
  EXPECT_EQ(cache.size(), 0u);
}

TEST(DnsCache, KeepsTypesAndNamesApart) {
  DnsCache cache(10);
  cache.store("a.test", DnsType::A, goodUntil(kNow + seconds(30)));
  EXPECT_EQ(cache.find("a.test", DnsType::Mx, kNow), nullptr);
  EXPECT_EQ(cache.find("b.test", DnsType::A, kNow), nullptr);
}

TEST(DnsCache, DropsTheLeastRecentlyUsed) {
  DnsCache cache(2);
  cache.store("a.test", DnsType::A, goodUntil(kNow + seconds(30)));
  cache.store("b.test", DnsType::A, goodUntil(kNow + seconds(30)));
  static_cast<void>(cache.find("a.test", DnsType::A, kNow));
  cache.store("c.test", DnsType::A, goodUntil(kNow + seconds(30)));
  EXPECT_NE(cache.find("a.test", DnsType::A, kNow), nullptr);
  EXPECT_EQ(cache.find("b.test", DnsType::A, kNow), nullptr);
}

TEST(DnsCache, IsBoundedInBytesToo) {
  DnsCache cache(100);
  for (int i = 0; i < 100; ++i) {
    cache.store("n" + std::to_string(i), DnsType::Txt, goodUntil(kNow + seconds(30), 20'000));
  }
  EXPECT_LE(cache.size(), 100 * DnsCache::kBytesPerEntry / 20'000);
  EXPECT_GT(cache.size(), 0u);
}

TEST(DnsCache, ReplacesWhatItKnew) {
  DnsCache cache(10);
  cache.store("a.test", DnsType::A, goodUntil(kNow + seconds(30)));
  const auto later = goodUntil(kNow + seconds(60));
  cache.store("a.test", DnsType::A, later);
  EXPECT_EQ(cache.find("a.test", DnsType::A, kNow), later);
  EXPECT_EQ(cache.size(), 1u);
  cache.clear();
  EXPECT_EQ(cache.find("a.test", DnsType::A, kNow), nullptr);
}

}  // namespace
}  // namespace sluice::net
