// What stays in memory: a window of each key and one record a key, however long the queue.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "queue/content_cache.h"
#include "queue/due_heap.h"
#include "queue/key_queue.h"
#include "queue/queue_clock.h"
#include "tests/unit/queue/queue_fixture.h"

namespace sluice::queue::test {
namespace {

// Accepts `count` messages through the shard's loop without waiting for each.
void acceptMany(QueueHarness& queue, int count, const std::function<std::string(int)>& recipient) {
  std::atomic<int> waiting{0};
  for (int from = 0; from < count; from += 1000) {
    const int to = std::min(count, from + 1000);
    waiting += to - from;
    queue.loop(0).post([&, from, to] {
      auto& face = queue.queue->shard(0);
      for (int i = from; i < to; ++i) {
        auto incoming = face.newIncoming(0);
        incoming->append("content");
        Envelope envelope = QueueHarness::envelopeFor({recipient(i)});
        auto groups = QueueHarness::groupsByDomain(envelope);
        face.commit(std::move(incoming), std::move(envelope), std::move(groups),
                    [&](Result<void> result) {
                      EXPECT_TRUE(result);
                      --waiting;
                    });
      }
    });
    ASSERT_TRUE(eventually([&] { return waiting == 0; }));
  }
}

TEST(QueueMemory, HoldsOnlyAWindowOfALongQueueForOneKey) {
  QueueHarness queue;
  queue.options.window_groups = 100;
  queue.start();
  acceptMany(queue, 100'000, [](int) { return "a@dead.test"; });
  const auto& gauges = queue.metrics->shards[0];
  EXPECT_LE(gauges.loaded.value(), 300);
  EXPECT_EQ(gauges.ready.value(), 100'000);
  EXPECT_LE(queue.queue->health().content_bytes, 300 * 7u);
  queue.restart();
  EXPECT_TRUE(eventually([&] { return queue.status("dead.test").ready == 100'000; }));
  EXPECT_LE(queue.metrics->shards[0].loaded.value(), 300);
  EXPECT_EQ(queue.queue->health().messages, 100'000u);
  // And a window of it can be worked through while the rest stays on disk.
  for (int i = 0; i < 500; ++i) {
    auto work = queue.take("dead.test");
    ASSERT_TRUE(work);
    queue.settle(std::move(work), {{0, Settlement::What::Ended}});
  }
  EXPECT_TRUE(eventually([&] { return queue.status("dead.test").ready == 99'500; }));
  EXPECT_LE(queue.metrics->shards[0].loaded.value(), 1000);
}

TEST(QueueMemory, ServesOthersWhileADeadKeyFillsTheLimit) {
  QueueHarness queue;
  queue.options.window_groups = 100;
  queue.options.max_loaded_messages = 80;
  queue.start();
  acceptMany(queue, 2000, [](int) { return "a@dead.test"; });
  acceptMany(queue, 50, [](int i) { return "a@live" + std::to_string(i) + ".test"; });
  for (int i = 0; i < 50; ++i) {
    auto work = queue.take("live" + std::to_string(i) + ".test");
    ASSERT_TRUE(work) << i;
    queue.settle(std::move(work), {{0, Settlement::What::Ended}});
  }
  EXPECT_LE(queue.metrics->shards[0].loaded.value(), 400);
}

TEST(QueueMemory, FindsEveryOneOfManyKeysAfterARestart) {
  QueueHarness queue;
  queue.options.max_loaded_messages = 100;
  queue.start();
  acceptMany(queue, 5000, [](int i) { return "a@k" + std::to_string(i) + ".test"; });
  queue.restart();
  int ended = 0;
  EXPECT_TRUE(eventually([&] {
    ended += queue.on(0, [](ShardQueue& face) {
      int count = 0;
      for (const QueueKey& key : face.readyKeys())
        while (auto work = face.take(key)) {
          face.settle(std::move(work), {Settlement{}}, {}, nullptr);
          ++count;
        }
      return count;
    });
    return ended == 5000;
  }));
  EXPECT_EQ(ended, 5000);
  EXPECT_TRUE(eventually([&] { return queue.queue->health().messages == 0; }));
}

TEST(QueueMemory, SlowsSendersDownInsteadOfTakingMoreThanItsShare) {
  QueueHarness queue;
  queue.options.memory_bytes = 1 << 20;
  queue.start();
  std::vector<std::unique_ptr<Incoming>> all;
  const std::string piece(64 * 1024, 'x');
  std::atomic<int> relieved{0};
  bool may = true;
  // All in one turn: the writer relieves them as soon as the loop lets it.
  const bool congested = queue.on(0, [&](ShardQueue& face) {
    bool any = false;
    for (int i = 0; i < 20; ++i) {
      all.push_back(face.newIncoming(0));
      for (int j = 0; j < 3 && !all.back()->congested(); ++j) all.back()->append(piece);
      if (!all.back()->congested()) continue;
      any = true;
      all.back()->onRelieved([&] { ++relieved; });
    }
    may = face.mayAccept(1 << 20).has_value();
    return any;
  });
  EXPECT_TRUE(congested);
  EXPECT_FALSE(may);
  EXPECT_TRUE(eventually([&] { return relieved > 0; }));
  queue.on(0, [&](ShardQueue&) {
    all.clear();
    return 0;
  });
  EXPECT_TRUE(eventually([&] {
    return queue.on(0, [](ShardQueue& face) { return face.mayAccept(1000).has_value(); });
  }));
  EXPECT_TRUE(eventually([&] { return queue.queue->health().content_bytes == 0; }));
  queue.restart();
  EXPECT_EQ(queue.queue->health().messages, 0u);
}

TEST(QueueMemory, RefusesMailBelowTheDiskReserve) {
  QueueHarness queue;
  queue.options.disk_reserve_bytes = UINT64_MAX / 4;
  queue.start();
  const auto may = queue.on(0, [](ShardQueue& face) { return face.mayAccept(0); });
  ASSERT_FALSE(may);
  EXPECT_EQ(may.error().code, Errc::NoSpace);
  EXPECT_FALSE(queue.queue->health().ready);
}

TEST(QueueMemory, ReadsBackContentThatFoundNoRoom) {
  QueueHarness queue;
  queue.options.memory_bytes = 100;
  queue.start();
  const std::string content(5000, 'x');
  ASSERT_TRUE(queue.accept({"a@x.test"}, content));
  auto work = queue.take("x.test");
  EXPECT_EQ(work->content().inMemory(), nullptr);
  EXPECT_EQ(queue.deliver(*work), content);
  EXPECT_EQ(queue.metrics->shards[0].read_back.value(), 1u);
  queue.drop(std::move(work));
}

TEST(QueueTime, NeitherStormsNorStallsWhenTheWallClockJumps) {
  QueueHarness queue;
  queue.start();
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(queue.accept({"a@x.test"}, "content"));
    auto work = queue.take("x.test");
    queue.settle(std::move(work), {queue.deferred(1h)});
  }
  queue.clock.jumpWall(2h);
  EXPECT_FALSE(queue.take("x.test", 0, 200ms));  // not at once
  queue.clock.jumpWall(-4h);
  EXPECT_FALSE(queue.take("x.test", 0, 100ms));
  queue.clock.advance(2h);  // twice its delay, by a clock that is two hours behind
  auto work = queue.take("x.test");
  EXPECT_TRUE(work);
  if (work) queue.drop(std::move(work));
}

TEST(QueueClockTest, FollowsTheWallClockSlowlyAndNeverRunsBack) {
  ManualClock manual;
  QueueClock clock(manual);
  const uint64_t start = clock.now();
  manual.setWall(manual.wall() + 2h);
  EXPECT_EQ(clock.now(), start);
  manual.advance(1s);
  EXPECT_EQ(clock.now(), start + 61'000'000);
  for (int i = 0; i < 200; ++i) {
    manual.advance(1s);
    clock.now();
  }
  EXPECT_EQ(clock.now(), toMicroseconds(manual.wall()));  // caught up
  manual.setWall(manual.wall() - 2h);
  uint64_t last = clock.now();
  for (int i = 0; i < 100; ++i) {
    manual.advance(10s);
    const uint64_t now = clock.now();
    EXPECT_EQ(now - last, 9'000'000u);
    last = now;
  }
  EXPECT_EQ(clock.fromWall(manual.wall() + 5min), last + 300'000'000);
  EXPECT_EQ(clock.toWall(last + 300'000'000), manual.wall() + 5min);
}

TEST(DueHeapTest, GivesKeysInTheOrderOfTheirTimes) {
  DueHeap heap;
  std::vector<std::unique_ptr<KeyQueue>> keys;
  for (int i = 0; i < 200; ++i) {
    keys.push_back(std::make_unique<KeyQueue>(std::to_string(i)));
    keys.back()->earliest_due_us = static_cast<uint64_t>((i * 7919) % 200);
    heap.update(*keys.back());
  }
  for (int i = 0; i < 200; i += 3) {
    keys[static_cast<size_t>(i)]->earliest_due_us = static_cast<uint64_t>((i * 31) % 97);
    heap.update(*keys[static_cast<size_t>(i)]);
  }
  for (int i = 0; i < 200; i += 7) {
    keys[static_cast<size_t>(i)]->earliest_due_us = kNeverDue;
    heap.update(*keys[static_cast<size_t>(i)]);
  }
  uint64_t last = 0;
  size_t count = 0;
  for (; !heap.empty(); ++count) {
    KeyQueue& top = heap.top();
    EXPECT_GE(top.earliest_due_us, last);
    last = top.earliest_due_us;
    heap.remove(top);
  }
  EXPECT_EQ(count, 200u - 29u);
}

TEST(WindowTest, LetsReversePathsTakeTurns) {
  Window window;
  std::vector<std::unique_ptr<QueuedMessage>> messages;
  std::vector<std::unique_ptr<QueuedGroup>> groups;
  const auto add = [&](const std::string& sender) {
    messages.push_back(std::make_unique<QueuedMessage>());
    messages.back()->envelope =
        std::make_shared<const Envelope>(QueueHarness::envelopeFor({"a@x.test"}, sender));
    groups.push_back(std::make_unique<QueuedGroup>());
    groups.back()->message = messages.back().get();
    window.pushBack(*groups.back());
  };
  for (int i = 0; i < 1000; ++i) add("bulk@example.com");
  for (int i = 0; i < 3; ++i) add("person" + std::to_string(i) + "@example.com");
  int seen = 0;
  std::string order;
  for (int i = 0; i < 12; ++i) {
    QueuedGroup* next = window.next();
    ASSERT_TRUE(next);
    if (next->message->envelope->reverse_path != "bulk@example.com") ++seen;
    window.remove(*next);
  }
  EXPECT_GE(seen, 2);  // unless hashed into the bulk sender's bucket
  while (QueuedGroup* next = window.next()) window.remove(*next);
  EXPECT_TRUE(window.empty());
}

}  // namespace
}  // namespace sluice::queue::test
