// Fields of ours in front of a content: everybody who reads it reads them, from memory and from
// disk, and relays of before can be told from those that know them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "queue/record.h"
#include "queue/spool_check.h"
#include "tests/unit/queue/queue_fixture.h"

namespace sluice::queue::test {
namespace {

const std::string kFields = "DKIM-Signature: a=1\r\n\tb=2\r\nOther: 3\r\n";

std::string contentOf(size_t bytes) {
  std::string content = "Received: here\r\n\r\n";
  while (content.size() < bytes) content += std::to_string(content.size()) + " and a line\r\n";
  return content;
}

class ContentWithFrontFields : public testing::TestWithParam<size_t> {
 protected:
  ContentWithFrontFields() { queue.front_fields = kFields; }
  void expectDelivered(const std::string& all) {
    auto work = queue.take("example.com");
    ASSERT_TRUE(work);
    EXPECT_EQ(work->content().size(), all.size());
    EXPECT_EQ(work->envelope().content_bytes, all.size());
    EXPECT_EQ(queue.deliver(*work), all);
    std::string in_memory;
    if (const auto* slices = work->content().inMemory()) {
      for (const Slice& slice : *slices) in_memory.append(slice.bytes);
      EXPECT_EQ(in_memory, all);
    }
    queue.drop(std::move(work));
  }
  QueueHarness queue;
};

TEST_P(ContentWithFrontFields, IsTheSameFromMemoryAndFromDisk) {
  const std::string content = contentOf(GetParam());
  queue.start();
  const auto id = queue.accept({"a@example.com"}, content);
  ASSERT_TRUE(id) << id.error().detail;
  expectDelivered(kFields + content);
  EXPECT_EQ(queue.content(*id), kFields + content);
  queue.restart();
  expectDelivered(kFields + content);
  EXPECT_EQ(queue.content(*id), kFields + content);
  queue.stop();
  std::vector<SpoolMessage> seen;
  const auto report = checkSpool(queue.options.directory,
                                 [&](const SpoolMessage& message) { seen.push_back(message); });
  ASSERT_TRUE(report) << report.error().detail;
  EXPECT_EQ(report->problem_count, 0u);
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_TRUE(seen[0].content_whole);
  EXPECT_EQ(seen[0].content, kFields + content);
}

INSTANTIATE_TEST_SUITE_P(Sizes, ContentWithFrontFields,
                         testing::Values(100, 5000, kChunkBytes - 20, kChunkBytes, 700'000));

TEST(FrontFieldsOfANotice, StandInFrontOfIt) {
  QueueHarness queue;
  queue.start();
  queue.accept({"a@example.com"}, "content");
  NewMessage notice;
  notice.envelope = QueueHarness::envelopeFor({"sender@other.test"}, "");
  notice.envelope.front_fields = kFields;
  notice.content.append("Subject: failed\r\n\r\n");
  notice.groups = QueueHarness::groupsByDomain(notice.envelope);
  std::vector<NewMessage> notices;
  notices.push_back(std::move(notice));
  queue.settle(queue.take("example.com"), {{0, Settlement::What::Ended}}, std::move(notices));
  auto work = queue.take("other.test");
  ASSERT_TRUE(work);
  EXPECT_EQ(queue.deliver(*work), kFields + "Subject: failed\r\n\r\n");
  EXPECT_EQ(work->content().size(), kFields.size() + 19);
  queue.drop(std::move(work));
}

EnvelopeRecord recordWith(const std::string& fields) {
  auto envelope = std::make_shared<Envelope>(QueueHarness::envelopeFor({"a@example.com"}));
  envelope->front_fields = fields;
  return {envelope, {{"example.com", {0}}}, 5, 1};
}

TEST(FrontFieldsRecord, AreStoredWithTheEnvelope) {
  const std::string key(MessageId::kBytes, 'k');
  const auto read = decodeEnvelope(key, encodeEnvelope(key, recordWith(kFields)));
  ASSERT_TRUE(read) << read.error().detail;
  EXPECT_EQ(read->envelope->front_fields, kFields);
  EXPECT_EQ(read->groups.at(0).key, "example.com");
}

// A record without them is what it was before there were any, and stays readable for a relay of
// then; one with them names a version that such a relay refuses instead of sending half a message.
TEST(FrontFieldsRecord, MakeAnotherVersionOfTheRecord) {
  const std::string key(MessageId::kBytes, 'k');
  const std::string without = encodeEnvelope(key, recordWith(""));
  EXPECT_EQ(without.front(), '\x01');
  EXPECT_EQ(decodeEnvelope(key, without)->envelope->front_fields, "");
  EXPECT_EQ(encodeEnvelope(key, recordWith(kFields)).front(), '\x02');
}

TEST(FrontFieldsRecord, AreNotBelievedWhenDamaged) {
  const std::string key(MessageId::kBytes, 'k');
  const std::string good = encodeEnvelope(key, recordWith(kFields));
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(decodeEnvelope(key, good.substr(0, size))) << "cut to " << size;
    std::string bad = good;
    bad[size] = static_cast<char>(bad[size] ^ 1);
    EXPECT_FALSE(decodeEnvelope(key, bad)) << "byte " << size;
  }
}

}  // namespace
}  // namespace sluice::queue::test
