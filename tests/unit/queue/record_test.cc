// Stored forms: what is written is read again, and nothing else is believed.
#include "queue/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "queue/codec.h"
#include "queue/queue_reader.h"

namespace sluice::queue {
namespace {

using ::testing::ElementsAre;

MessageId someId(uint8_t lane = 3) {
  ManualClock clock;
  return MessageIdSource(lane, 0x01020304, clock).next();
}

EnvelopeRecord someEnvelope() {
  auto envelope = std::make_shared<Envelope>();
  envelope->reverse_path = "sender@example.com";
  envelope->body = BodyType::EightBitMime;
  envelope->smtputf8 = true;
  envelope->ret = Ret::Headers;
  envelope->envid = "QQ314159";
  envelope->receive_connector = "apps";
  envelope->client = "[192.0.2.1]";
  envelope->received_at = WallTime(std::chrono::microseconds(1'700'000'000'123'456));
  envelope->content_bytes = 123'456;
  for (int i = 0; i < 5; ++i) {
    Recipient recipient;
    recipient.forward_path = "r" + std::to_string(i) + "@example.com";
    recipient.notify = {true, false, i % 2 == 0, true, false};
    recipient.orcpt = "rfc822;x+2Bx@example.com";
    envelope->recipients.push_back(recipient);
  }
  return {envelope, {{"example.com", {0, 2, 3}}, {"=smart", {1, 4}}}, 1'700'000'000'200'000, 2};
}

GroupRecord someGroup() {
  GroupRecord record;
  record.recipients = {0, 1, 2, 7, 9, 10};
  record.key = "example.com";
  record.attempts = {17, fromMicroseconds(5), true, "mx.example.com said: 451 later"};
  record.due_us = 5;
  return record;
}

// Every shorter form, and every form with one bit turned, is refused.
template <class Decode>
void expectRefused(const std::string& good, Decode decode) {
  ASSERT_TRUE(decode(good));
  for (size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(decode(good.substr(0, size))) << "cut to " << size;
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(decode(bad)) << "bit " << bit;
  }
  EXPECT_FALSE(decode(good + '\0'));
}

TEST(Record, ReadsAnEnvelopeAsItWasWritten) {
  const auto id = someId();
  const auto before = someEnvelope();
  const auto after = decodeEnvelope(id.bytes(), encodeEnvelope(id.bytes(), before));
  ASSERT_TRUE(after) << after.error().detail;
  const Envelope& envelope = *after->envelope;
  EXPECT_EQ(envelope.reverse_path, "sender@example.com");
  EXPECT_EQ(envelope.body, BodyType::EightBitMime);
  EXPECT_TRUE(envelope.smtputf8);
  EXPECT_EQ(envelope.ret, Ret::Headers);
  EXPECT_EQ(envelope.envid, "QQ314159");
  EXPECT_EQ(envelope.client, "[192.0.2.1]");
  EXPECT_EQ(envelope.received_at, before.envelope->received_at);
  EXPECT_EQ(envelope.content_bytes, 123'456u);
  ASSERT_EQ(envelope.recipients.size(), 5u);
  EXPECT_EQ(envelope.recipients[4].forward_path, "r4@example.com");
  EXPECT_TRUE(envelope.recipients[4].notify.success);
  EXPECT_FALSE(envelope.recipients[3].notify.success);
  EXPECT_EQ(envelope.recipients[0].orcpt, "rfc822;x+2Bx@example.com");
  ASSERT_EQ(after->groups.size(), 2u);
  EXPECT_EQ(after->groups[1].key, "=smart");
  EXPECT_THAT(after->groups[0].recipients, ElementsAre(0, 2, 3));
  EXPECT_EQ(after->due_us, before.due_us);
  EXPECT_EQ(after->chunks, 2u);
}

// RFC 8689. An older relay does not know these flags, and must not send such a message unawares.
TEST(Record, KeepsWhatAMessageWishesOfTls) {
  const auto id = someId();
  for (const bool required : {true, false}) {
    auto envelope = std::make_shared<Envelope>(*someEnvelope().envelope);
    envelope->require_tls = required;
    envelope->tls_optional = !required;
    EnvelopeRecord record = someEnvelope();
    record.envelope = envelope;
    const auto after = decodeEnvelope(id.bytes(), encodeEnvelope(id.bytes(), record));
    ASSERT_TRUE(after);
    EXPECT_EQ(after->envelope->require_tls, required);
    EXPECT_EQ(after->envelope->tls_optional, !required);
    EXPECT_EQ(after->envelope->ret, Ret::Headers);
    EXPECT_TRUE(after->envelope->smtputf8);
  }
}

TEST(Record, RefusesEveryDamagedEnvelope) {
  const auto id = someId();
  expectRefused(encodeEnvelope(id.bytes(), someEnvelope()),
                [&](const std::string& bytes) { return decodeEnvelope(id.bytes(), bytes); });
}

TEST(Record, RefusesARecordUnderAnotherKey) {
  const auto bytes = encodeEnvelope(someId(1).bytes(), someEnvelope());
  EXPECT_FALSE(decodeEnvelope(someId(2).bytes(), bytes));
}

TEST(Record, ReadsAGroupAsItWasWrittenAndRefusesEveryDamagedOne) {
  const auto key = stateKey(someId(), {7, 9});
  const auto bytes = encodeGroup(key, someGroup());
  const auto after = decodeGroup(key, bytes);
  ASSERT_TRUE(after);
  EXPECT_EQ(after->recipients, someGroup().recipients);
  EXPECT_EQ(after->attempts.attempts, 17u);
  EXPECT_TRUE(after->attempts.delay_notified);
  EXPECT_EQ(after->attempts.last_reply, "mx.example.com said: 451 later");
  EXPECT_EQ(after->due_us, 5u);
  expectRefused(bytes, [&](const std::string& bad) { return decodeGroup(key, bad); });
  const auto parsed = parseStateKey(key);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->first, someId());
  EXPECT_EQ(parsed->second, (GroupId{7, 9}));
}

TEST(Record, RefusesEveryDamagedScheduleEntry) {
  const auto key = scheduleKey(3, "example.com", {1'000'000, someId(), {2, 1}});
  const auto bytes = encodeSchedule(key, {40'000, 70'000, true, true});
  const auto after = decodeSchedule(key, bytes);
  ASSERT_TRUE(after);
  EXPECT_EQ(after->recipients, 40'000u);
  EXPECT_EQ(after->attempts, 70'000u);
  expectRefused(bytes, [&](const std::string& bad) { return decodeSchedule(key, bad); });
}

// CRC-32C, bit by bit.
uint32_t crc32c(const std::string& bytes) {
  uint32_t crc = ~0u;
  for (const char byte : bytes) {
    crc ^= static_cast<uint8_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? 0x82f63b78u : 0);
  }
  return ~crc;
}

TEST(Record, SaysThatAVersionOfTheFutureIsUnknown) {
  const auto key = scheduleKey(0, "k", {});
  std::string bytes("\x02whatever it may hold");  // whole, so it is not damage
  appendU32(bytes, crc32c(key + bytes));
  const auto refused = decodeSchedule(key, bytes);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::Unsupported);
}

TEST(Record, SortsTheScheduleByKeyThenDueThenAge) {
  const auto id = someId();
  const auto at = [&](std::string_view key, uint64_t due) {
    return scheduleKey(1, key, {due, id, {0, 0}});
  };
  EXPECT_LT(at("a.test", 1), at("a.test", 2));
  EXPECT_LT(at("a.test", 255), at("a.test", 256));
  EXPECT_LT(at("a.test", kNeverDue), at("a.test.longer", 0));
  EXPECT_LT(at("a.test", kNeverDue), schedulePrefixEnd(1, "a.test"));
  EXPECT_LT(schedulePrefixEnd(1, "a.test"), at("a.test.longer", 0));
  const std::string bytes = at("=smart host", 77);
  const auto parsed = parseScheduleKey(bytes);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->key, "=smart host");
  EXPECT_EQ(parsed->at.due_us, 77u);
  EXPECT_EQ(parsed->at.id, id);
  EXPECT_EQ(parsed->lane, 1);
}

TEST(Record, RefusesKeysThatWouldMixUpTheSchedule) {
  EXPECT_FALSE(isValidKey(""));
  EXPECT_FALSE(isValidKey(std::string_view("a\0b", 3)));
  EXPECT_FALSE(isValidKey(std::string(kMaxKeyBytes + 1, 'a')));
  EXPECT_TRUE(isValidKey("example.com"));
  EXPECT_FALSE(parseScheduleKey(""));
  EXPECT_FALSE(parseScheduleKey(std::string(40, 'x')));
}

TEST(MessageId, IsWrittenSoThatItSortsAndReadsBack) {
  ManualClock clock;
  MessageIdSource source(200, 0xdeadbeef, clock);
  MessageId last;
  for (int i = 0; i < 1000; ++i) {
    if (i % 10 == 0) clock.advance(std::chrono::milliseconds(i));
    if (i == 500) clock.setWall(WallTime(std::chrono::seconds(1)));  // set back: no matter
    const MessageId id = source.next();
    EXPECT_LT(last, id);
    EXPECT_LT(last.toString(), id.toString());
    EXPECT_EQ(id.toString().size(), 26u);
    const auto parsed = MessageId::parse(id.toString());
    ASSERT_TRUE(parsed);
    EXPECT_EQ(*parsed, id);
    EXPECT_EQ(id.lane(), 200);
    last = id;
  }
  EXPECT_FALSE(MessageId::parse(""));
  EXPECT_FALSE(MessageId::parse(std::string(25, '0')));
  EXPECT_FALSE(MessageId::parse(std::string(26, 'u')));        // not in the alphabet
  EXPECT_FALSE(MessageId::parse("8" + std::string(25, '0')));  // over 128 bits
  EXPECT_TRUE(MessageId::parse("7" + std::string(25, 'z')));
}

TEST(MessageId, StaysUniqueWhenTheClockStandsStill) {
  ManualClock clock;
  MessageIdSource source(0, 1, clock);
  MessageId last = source.next();
  for (int i = 0; i < (1 << 24) + 10; ++i) {
    const MessageId id = source.next();
    if (!(last < id)) {
      FAIL() << "at " << i;
    }
    last = id;
  }
}

TEST(Assemble, TakesTheInitialGroupsWhereNoRecordReplacesThem) {
  GroupRecord moved;
  moved.recipients = {2};
  moved.key = "other.test";
  moved.due_us = 9;
  const auto message = assemble(someId(), someEnvelope(), {{GroupId{2, 1}, moved}});
  ASSERT_TRUE(message);
  ASSERT_EQ(message->groups.size(), 2u);
  EXPECT_EQ(message->groups[0].key, "other.test");  // 0 and 3 have ended
  EXPECT_THAT(message->groups[0].recipients, ElementsAre(2));
  EXPECT_EQ(message->groups[0].origin, 0);
  EXPECT_EQ(message->groups[1].key, "=smart");
  EXPECT_FALSE(message->groups[1].has_record);
}

TEST(Assemble, KnowsAnEndedGroupFromAnUntouchedOne) {
  GroupRecord ended;
  ended.ended = true;
  ended.recipients = {0, 2, 3};
  const auto message = assemble(someId(), someEnvelope(), {{GroupId{0, 1}, ended}});
  ASSERT_TRUE(message);
  ASSERT_EQ(message->groups.size(), 1u);
  EXPECT_EQ(message->groups[0].key, "=smart");
  ASSERT_EQ(message->ended.size(), 1u);
}

TEST(Assemble, RefusesRecordsOfRecipientsThatAreNotThere) {
  GroupRecord record;
  record.recipients = {5};
  record.key = "x";
  EXPECT_FALSE(assemble(someId(), someEnvelope(), {{GroupId{5, 1}, record}}));
}

TEST(Refusals, AreReadPastPlacesThatAreEmptyOrTorn) {
  const MessageId one = MessageId::fromBytes("0123456789abcdef");
  const MessageId two = MessageId::fromBytes("fedcba9876543210");
  std::string torn = encodeRefusal(one);
  torn[3] ^= 1;
  const std::string bytes = encodeRefusal(one) + std::string(kRefusalBytes, '\0') + torn +
                            encodeRefusal(two) + encodeRefusal(one).substr(0, 7);
  EXPECT_EQ(decodeRefusals(bytes), (std::vector<MessageId>{one, two}));
}

}  // namespace
}  // namespace sluice::queue
