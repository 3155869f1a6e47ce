// What became of messages is found after they have left, and what is kept of it stays in bounds.
#include "queue/tracking.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "queue/record.h"
#include "tests/unit/queue/failing_env.h"
#include "tests/unit/queue/queue_fixture.h"

namespace sluice::queue::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class TrackedQueue : public ::testing::Test {
 protected:
  TrackedQueue() {
    queue.options.tracking.enabled = true;
    queue.start();
  }

  std::vector<MessageId> find(const TrackQuery& query, size_t limit = 100) {
    const auto page = queue.queue->tracking()->find(query, std::nullopt, limit);
    EXPECT_TRUE(page) << page.error().detail;
    return page ? page->ids : std::vector<MessageId>();
  }
  std::vector<std::string> lifeOf(const MessageId& id) {
    std::vector<std::string> out;
    const auto lives = queue.queue->tracking()->lives({id});
    EXPECT_TRUE(lives) << lives.error().detail;
    if (!lives) return out;
    for (const TrackEvent& event : lives->front().events) {
      std::string text(toString(event.kind));
      for (const std::string_view recipient : event.recipients) text.append(" ").append(recipient);
      if (!event.reply.empty()) text.append(": ").append(event.reply);
      out.push_back(text);
    }
    return out;
  }
  void settle(std::unique_ptr<Work> work, TrackKind kind, const std::string& reply,
              const Settlement& settlement) {
    TrackEvent event;
    event.kind = kind;
    event.id = work->id();
    event.time = queue.clock.wall();
    for (const uint16_t one : work->recipients())
      event.recipients.push_back(work->envelope().recipients[one].forward_path);
    event.reply = reply;
    work->track(event);
    const auto settlements = QueueHarness::all(*work, settlement);
    queue.settle(std::move(work), settlements);
  }
  void deliverAll(const QueueKey& key) {
    while (auto work = queue.take(key, 0, 50ms))
      settle(std::move(work), TrackKind::Delivered, "250 ok", QueueHarness::ended());
  }
  // Sixteen thousand names: more than one summary speaks for.
  std::vector<MessageId> acceptMany(size_t messages, size_t recipients = 500) {
    std::vector<MessageId> ids;
    for (size_t i = 0; i < messages; ++i) {
      std::vector<std::string> to;
      for (size_t j = 0; j < recipients; ++j)
        to.push_back("r" + std::to_string(i) + "." + std::to_string(j) + "@many.test");
      ids.push_back(*queue.accept(to, "content", 0, "s" + std::to_string(i) + "@example.com"));
    }
    return ids;
  }

  QueueHarness queue;
};

TEST_F(TrackedQueue, FindsAMessageThatHasLeftByEachOfItsNames) {
  const MessageId other = *queue.accept({"other@y.test"}, "content", 0, "else@example.com");
  const MessageId id = *queue.accept({"Anna@X.test", "b@x.test"}, "content");
  deliverAll("x.test");
  deliverAll("X.test");
  EXPECT_THAT(find({.any = "anna@x.test"}), ElementsAre(id));
  EXPECT_THAT(find({.any = "SENDER@example.com"}), ElementsAre(id));
  EXPECT_THAT(find({.any = "x.test"}), ElementsAre(id));
  EXPECT_THAT(find({.recipient = "b@x.test"}), ElementsAre(id));
  EXPECT_THAT(find({.destination = "x.test"}), ElementsAre(id));
  EXPECT_THAT(find({.sender = "sender@example.com", .recipient = "b@x.test"}), ElementsAre(id));
  EXPECT_THAT(find({.sender = "else@example.com", .recipient = "b@x.test"}), IsEmpty());
  EXPECT_THAT(find({.any = "nobody@x.test"}), IsEmpty());
  EXPECT_THAT(find({}), ElementsAre(id, other));
  EXPECT_THAT(find({.until = id.acceptedAt() - 1h}), IsEmpty());
  EXPECT_THAT(find({.since = id.acceptedAt() + 1h}), IsEmpty());
}

TEST_F(TrackedQueue, FindsAMessageByItsMessageIdWithAndWithoutBrackets) {
  std::promise<MessageId> accepted;
  queue.on(0, [&](ShardQueue& face) {
    auto incoming = face.newIncoming(7);
    const MessageId id = incoming->id();
    incoming->append("content");
    incoming->setOrigin({"<4711@App.example.com>", "TLSv1.3", "app"});
    Envelope envelope = QueueHarness::envelopeFor({"a@x.test"});
    auto groups = QueueHarness::groupsByDomain(envelope);
    face.commit(std::move(incoming), std::move(envelope), std::move(groups),
                [&accepted, id](Result<void>) { accepted.set_value(id); });
    return 0;
  });
  const MessageId id = accepted.get_future().get();
  EXPECT_THAT(find({.message_id = "<4711@app.example.com>"}), ElementsAre(id));
  EXPECT_THAT(find({.any = "4711@app.example.com"}), ElementsAre(id));
  const auto lives = queue.queue->tracking()->lives({id});
  ASSERT_THAT(lives->front().events, SizeIs(1));
  EXPECT_EQ(lives->front().events[0].user, "app");
  EXPECT_EQ(lives->front().events[0].tls, "TLSv1.3");
}

TEST_F(TrackedQueue, TellsALifeInItsOrderOverARestart) {
  const MessageId id = *queue.accept({"a@x.test"}, "content");
  auto work = queue.take("x.test");
  settle(std::move(work), TrackKind::Deferred, "451 later", queue.deferred(10ms));
  queue.restart();
  MessageFilter filter;
  filter.ids = {id};
  ASSERT_TRUE(eventually([&] { return queue.act(Action::Hold, filter).changed == 1; }));
  ASSERT_TRUE(eventually([&] { return queue.act(Action::Release, filter).changed == 1; }));
  settle(queue.take("x.test"), TrackKind::Delivered, "250 ok", QueueHarness::ended());
  EXPECT_THAT(lifeOf(id),
              ElementsAre("accepted a@x.test", "deferred a@x.test: 451 later", "held a@x.test",
                          "released a@x.test", "delivered a@x.test: 250 ok"));
  queue.die();
  queue.start();
  EXPECT_THAT(lifeOf(id), SizeIs(5)) << "after it was killed";
}

TEST_F(TrackedQueue, GivesPagesTheNewestFirstOverManySummaries) {
  std::vector<MessageId> ids = acceptMany(50);
  queue.restart();  // what no summary speaks for yet
  for (const MessageId& id : acceptMany(5)) ids.push_back(id);
  std::reverse(ids.begin(), ids.end());
  std::vector<MessageId> seen;
  std::optional<TrackPlace> before;
  do {
    const auto page = queue.queue->tracking()->find({.destination = "many.test"}, before, 7);
    ASSERT_TRUE(page);
    EXPECT_LE(page->ids.size(), 7u);
    seen.insert(seen.end(), page->ids.begin(), page->ids.end());
    before = page->next;
  } while (before);
  EXPECT_EQ(seen, ids);
  EXPECT_THAT(find({.recipient = "r3.17@many.test"}), ElementsAre(ids[1], ids[51]));
  EXPECT_THAT(find({.any = "s40@example.com"}), ElementsAre(ids[14]));
}

TEST_F(TrackedQueue, GathersALifeThatGoesOnLongAfterItsBegin) {
  const MessageId id = *queue.accept({"a@x.test"}, "content");
  acceptMany(60);
  settle(queue.take("x.test"), TrackKind::Bounced, "550 no", QueueHarness::ended());
  acceptMany(20);
  EXPECT_THAT(lifeOf(id), ElementsAre("accepted a@x.test", "bounced a@x.test: 550 no"));
}

TEST_F(TrackedQueue, ShowsNothingThatIsOlderThanItKeeps) {
  queue.stop();
  queue.options.tracking.keep = 1h;
  queue.start();
  const MessageId id = *queue.accept({"a@x.test"}, "content");
  queue.clock.advance(59min);
  EXPECT_THAT(find({.any = "a@x.test"}), ElementsAre(id));
  queue.clock.advance(2min);
  EXPECT_THAT(find({.any = "a@x.test"}), IsEmpty());
}

// Each start writes what is in memory to table files, which are what is dropped.
TEST_F(TrackedQueue, DropsWholeFilesWhenItIsTooLarge) {
  queue.stop();
  queue.options.tracking.max_bytes = 200'000;
  queue.start();
  for (int i = 0; i < 10; ++i) {
    acceptMany(10, 300);
    queue.restart();
  }
  EXPECT_TRUE(eventually([&] {
    const uint64_t bytes = queue.queue->tracking()->bytes();
    return bytes > 0 && bytes <= 200'000;
  }));
  EXPECT_THAT(find({.any = "s9@example.com"}, 100), ::testing::Not(IsEmpty())) << "the newest stay";
  EXPECT_LT(find({.any = "s9@example.com"}, 100).size(), 10u);
  EXPECT_THAT(queue.list({}, {}, 1000).items, SizeIs(100)) << "mail stays";
}

TEST_F(TrackedQueue, DropsWholeFilesThatAreTooOld) {
  acceptMany(10, 100);
  queue.restart();
  ASSERT_TRUE(eventually([&] { return queue.queue->tracking()->bytes() > 0; }));
  queue.stop();
  queue.clock.advance(std::chrono::hours(24 * 8));
  queue.start();
  EXPECT_TRUE(eventually([&] { return queue.queue->tracking()->bytes() == 0; }));
}

TEST_F(TrackedQueue, IsDroppedWhenSwitchedOffAndBeginsAnewWhenSwitchedOn) {
  ASSERT_TRUE(queue.accept({"a@x.test"}, "content"));
  queue.stop();
  queue.options.tracking.enabled = false;
  queue.start();
  EXPECT_EQ(queue.queue->tracking(), nullptr);
  ASSERT_TRUE(queue.accept({"b@x.test"}, "content"));
  queue.stop();
  queue.options.tracking.enabled = true;
  queue.start();
  EXPECT_THAT(find({}), IsEmpty());
  EXPECT_THAT(queue.list({}).items, SizeIs(2));
  ASSERT_TRUE(queue.accept({"c@x.test"}, "content"));
  EXPECT_THAT(find({}), SizeIs(1));
}

TEST_F(TrackedQueue, DamagedTrackingStopsNoMail) {
  acceptMany(20);
  queue.restart();
  queue.stop();
  std::vector<std::string> files;
  {
    const auto store = Store::open(queue.options);
    ASSERT_TRUE(store);
    rocksdb::ColumnFamilyMetaData data;
    (*store)->db()->GetColumnFamilyMetaData((*store)->family(Family::Tracking), &data);
    for (const auto& level : data.levels)
      for (const auto& file : level.files) files.push_back(file.db_path + file.name);
  }
  ASSERT_FALSE(files.empty());
  for (const std::string& file : files) {
    std::FILE* open = std::fopen(file.c_str(), "r+");
    const std::string junk(64 * 1024, 'x');
    ASSERT_EQ(std::fwrite(junk.data(), 1, junk.size(), open), junk.size());
    std::fclose(open);
  }
  queue.start();
  EXPECT_THAT(queue.list({}, {}, 100).items, SizeIs(20));
  ASSERT_TRUE(queue.accept({"a@x.test"}, "content"));
  auto work = queue.take("x.test");
  ASSERT_TRUE(work);
  settle(std::move(work), TrackKind::Delivered, "250 ok", QueueHarness::ended());
}

class FailingTrackedQueue : public TrackedQueue {
 protected:
  FailingTrackedQueue() {
    queue.stop();
    queue.options.env = env.get();
    queue.options.database_memory_bytes = 64 << 20;
    queue.start();
  }
  ~FailingTrackedQueue() override {
    faults.failing_log_syncs = faults.failing_log_appends = 0;
    queue.stop();
  }
  Faults faults;
  std::unique_ptr<rocksdb::Env> env = failingEnv(faults);
};

TEST_F(FailingTrackedQueue, TellsNothingOfAMessageThatWasNotAccepted) {
  faults.failing_log_syncs = 1;
  EXPECT_FALSE(queue.accept({"refused@x.test"}, "content"));
  ASSERT_TRUE(eventually([&] { return queue.queue->health().writable; }));
  ASSERT_TRUE(queue.accept({"taken@x.test"}, "content"));
  EXPECT_THAT(find({.any = "refused@x.test"}), IsEmpty());
  EXPECT_THAT(find({.any = "taken@x.test"}), SizeIs(1));
}

TEST_F(FailingTrackedQueue, KeepsTheEndThatAFailedWriteWasToTell) {
  const MessageId id = *queue.accept({"a@x.test"}, "content");
  auto work = queue.take("x.test");
  faults.failing_log_appends = 1;
  settle(std::move(work), TrackKind::Delivered, "250 ok", QueueHarness::ended());
  EXPECT_THAT(lifeOf(id), ElementsAre("accepted a@x.test", "delivered a@x.test: 250 ok"));
  queue.restart();
  EXPECT_THAT(lifeOf(id), SizeIs(2));
}

TEST(TrackEvent, ComesBackAsItWasWritten) {
  const std::string long_reply(3000, 'r');
  TrackEvent event;
  event.kind = TrackKind::Deferred;
  event.time = fromMicroseconds(1'700'000'000'000'000);
  event.recipients = {"a@x.test", "b@x.test"};
  event.mx = "mx.x.test";
  event.code = 451;
  event.reply = long_reply;
  event.attempts = 3;
  event.took = std::chrono::microseconds(1500);
  event.next_attempt = fromMicroseconds(1'700'000'100'000'000);
  Tracks tracks;
  appendTrack(tracks, event);
  appendTrack(tracks, {.kind = TrackKind::Held});
  std::string_view rest = tracks.events;
  TrackEvent back;
  ASSERT_TRUE(nextTrack(rest, back));
  EXPECT_EQ(back.kind, TrackKind::Deferred);
  EXPECT_EQ(back.time, event.time);
  EXPECT_THAT(back.recipients, ElementsAre("a@x.test", "b@x.test"));
  EXPECT_EQ(back.mx, "mx.x.test");
  EXPECT_EQ(back.code, 451u);
  EXPECT_EQ(back.reply, long_reply.substr(0, kMaxTrackedBytes));
  EXPECT_EQ(back.attempts, 3u);
  EXPECT_EQ(back.took, event.took);
  EXPECT_EQ(back.next_attempt, event.next_attempt);
  EXPECT_TRUE(back.sender.empty());
  ASSERT_TRUE(nextTrack(rest, back));
  EXPECT_EQ(back.kind, TrackKind::Held);
  EXPECT_FALSE(nextTrack(rest, back));
}

TEST(TrackEvent, EndsAtBytesThatAreNone) {
  Tracks tracks;
  appendTrack(tracks, {.recipients = {"a@x.test"}, .reply = "words"});
  for (size_t cut = 0; cut < tracks.events.size(); ++cut) {
    std::string_view rest = std::string_view(tracks.events).substr(0, cut);
    TrackEvent event;
    EXPECT_FALSE(nextTrack(rest, event)) << cut;
  }
  for (size_t at = 0; at < tracks.events.size(); ++at) {
    std::string bytes = tracks.events;
    bytes[at] = '\xff';
    std::string_view rest = bytes;
    TrackEvent event;
    while (nextTrack(rest, event)) {
    }
  }
}

TEST(TrackSummary, MissesNothingThatItHoldsAndLittleElseSeemsToBeThere) {
  TrackSummary summary;
  std::vector<uint64_t> held;
  for (size_t i = 0; i < TrackSummary::kMostEntries; ++i)
    held.push_back(fingerprint("user" + std::to_string(i) + "@example.com"));
  summary.add(held);
  const std::string stored = summary.encode(42);
  const auto read = StoredSummary::read(stored);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->from_us, 42u);
  for (const uint64_t one : held) EXPECT_TRUE(read->mayHold(one));
  size_t wrong = 0;
  for (int i = 0; i < 10'000; ++i)
    wrong += read->mayHold(fingerprint("other" + std::to_string(i) + "@example.org"));
  EXPECT_LT(wrong, 50u);
  EXPECT_FALSE(StoredSummary::read(stored.substr(1)));
}

}  // namespace
}  // namespace sluice::queue::test
