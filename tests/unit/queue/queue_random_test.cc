// Thousands of messages, small windows, random outcomes, restarts: nothing is lost, nothing is
// taken twice at a time, nothing that has ended comes back.
#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <set>

#include "tests/unit/queue/queue_fixture.h"

namespace sluice::queue::test {
namespace {

// What the test knows of each recipient; shared by the shards.
class Ledger {
 public:
  using Name = std::pair<std::string, uint16_t>;  // message, recipient
  void accepted(const MessageId& id, size_t recipients) {
    const std::lock_guard lock(mutex_);
    for (size_t i = 0; i < recipients; ++i) open_.insert({id.toString(), static_cast<uint16_t>(i)});
  }
  void taken(const MessageId& id, uint16_t recipient) {
    const std::lock_guard lock(mutex_);
    if (!active_.insert({id.toString(), recipient}).second) ++taken_twice_;
    if (ended_.contains({id.toString(), recipient})) ++came_back_;
  }
  void released(const MessageId& id, uint16_t recipient, bool ended) {
    const std::lock_guard lock(mutex_);
    const Name name{id.toString(), recipient};
    active_.erase(name);
    if (!ended) return;
    ended_.insert(name);
    open_.erase(name);
  }
  void forgetActive() {
    const std::lock_guard lock(mutex_);
    active_.clear();
  }
  size_t open() const {
    const std::lock_guard lock(mutex_);
    return open_.size();
  }
  int takenTwice() const { return taken_twice_; }
  int cameBack() const { return came_back_; }

 private:
  mutable std::mutex mutex_;
  std::set<Name> open_, active_, ended_;
  std::atomic<int> taken_twice_{0}, came_back_{0};
};

// Delivery of one shard: takes what is ready, a few at a time, and settles it by chance.
class Agent {
 public:
  Agent(QueueHarness& harness, size_t shard, Ledger& ledger, unsigned seed)
      : harness_(harness), shard_(shard), ledger_(ledger), random_(seed) {}

  void onReady(const QueueKey& key) {
    auto& face = harness_.queue->shard(shard_);
    while (active_ < kMostActive) {
      auto work = face.take(key);
      if (!work) return;
      for (const uint16_t recipient : work->recipients()) ledger_.taken(work->id(), recipient);
      ++active_;
      works_.push_back(std::move(work));
      harness_.loop(shard_).post([this] {
        auto next = std::move(works_.front());
        works_.pop_front();
        finish(std::move(next));
      });
    }
  }

 private:
  static constexpr int kMostActive = 20;

  void finish(std::unique_ptr<Work> work) {
    --active_;
    const MessageId id = work->id();
    if (random_() % 20 == 0) {
      for (const uint16_t recipient : work->recipients()) ledger_.released(id, recipient, false);
      work.reset();
      return takeAll();
    }
    std::vector<Settlement> settlements;
    for (const uint16_t recipient : work->recipients()) {
      Settlement settlement;
      settlement.recipient = recipient;
      const auto chance = random_() % 10;
      if (chance < 7) {
        settlement.what = Settlement::What::Ended;
      } else if (chance < 9) {
        settlement = harness_.deferred(std::chrono::milliseconds(random_() % 30));
        settlement.recipient = recipient;
      } else {
        settlement.what = Settlement::What::Ready;
      }
      ledger_.released(id, recipient, settlement.what == Settlement::What::Ended);
      settlements.push_back(settlement);
    }
    harness_.queue->shard(shard_).settle(std::move(work), std::move(settlements), {}, nullptr);
    takeAll();
  }
  void takeAll() {
    if (active_ >= kMostActive) return;
    for (const QueueKey& key : harness_.queue->shard(shard_).readyKeys()) onReady(key);
  }

  QueueHarness& harness_;
  const size_t shard_;
  Ledger& ledger_;
  std::mt19937 random_;
  std::deque<std::unique_ptr<Work>> works_;
  int active_ = 0;
};

class RandomQueue : public ::testing::Test {
 protected:
  void run(size_t shards, size_t messages, size_t keys, size_t window, size_t loaded) {
    const unsigned seed = std::random_device()();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    Ledger ledger;
    std::vector<std::unique_ptr<Agent>> agents;
    QueueHarness queue(shards);
    queue.options.window_groups = window;
    queue.options.max_loaded_messages = loaded;
    queue.prepare_listener = [&](size_t shard, Listener& listener) {
      if (agents.size() <= shard) agents.resize(shard + 1);
      agents[shard] = std::make_unique<Agent>(queue, shard, ledger, seed + 1);
      listener.on_ready = [&, shard](const QueueKey& key) { agents[shard]->onReady(key); };
    };
    queue.before_close = [&] { agents.clear(); };
    queue.start();
    const size_t restart_at = messages / 2;
    for (size_t i = 0; i < messages; ++i) {
      if (i == restart_at) {
        waitForAccepts();
        queue.stop();
        ledger.forgetActive();
        queue.start();
      }
      acceptOne(queue, ledger, random, i % shards, keys);
      if (i % 50 == 0) waitForAccepts();
      if (HasFatalFailure()) return;
    }
    waitForAccepts();
    EXPECT_TRUE(eventually([&] { return ledger.open() == 0; }, 60s)) << ledger.open() << " left";
    EXPECT_TRUE(eventually([&] { return queue.queue->health().messages == 0; }));
    EXPECT_EQ(ledger.takenTwice(), 0);
    EXPECT_EQ(ledger.cameBack(), 0);
    for (size_t shard = 0; shard < shards; ++shard) {
      const auto& gauges = queue.metrics->shards[shard];
      EXPECT_EQ(gauges.ready.value(), 0);
      EXPECT_EQ(gauges.active.value(), 0);
      EXPECT_EQ(gauges.deferred.value(), 0);
      EXPECT_TRUE(eventually([&] { return gauges.loaded.value() == 0; }));
      EXPECT_EQ(queue.on(shard, [](ShardQueue& face) { return face.status().size(); }), 0u);
    }
    queue.restart();
    EXPECT_EQ(queue.queue->health().messages, 0u);
  }

 private:
  void acceptOne(QueueHarness& queue, Ledger& ledger, std::mt19937& random, size_t shard,
                 size_t keys) {
    std::vector<std::string> recipients;
    const size_t count = random() % 10 == 0 ? 5 : 1;
    for (size_t i = 0; i < count; ++i)
      recipients.push_back("r" + std::to_string(i) + "@k" + std::to_string(random() % keys) +
                           ".test");
    ++waiting_;
    const std::string sender = "s" + std::to_string(random() % 5) + "@example.com";
    queue.loop(shard).post([&, shard, recipients, sender] {
      auto& face = queue.queue->shard(shard);
      auto incoming = face.newIncoming(0);
      incoming->append("content");
      const MessageId id = incoming->id();
      ledger.accepted(id, recipients.size());
      Envelope envelope = QueueHarness::envelopeFor(recipients, sender);
      auto groups = QueueHarness::groupsByDomain(envelope);
      face.commit(std::move(incoming), std::move(envelope), std::move(groups),
                  [this](Result<void> result) {
                    EXPECT_TRUE(result);
                    --waiting_;
                  });
    });
  }
  void waitForAccepts() {
    ASSERT_TRUE(eventually([&] { return waiting_ == 0; }));
  }
  std::atomic<int> waiting_{0};
};

TEST_F(RandomQueue, LosesNothingWithRoomInTheWindow) { run(2, 2000, 5, 1000, 20'000); }
TEST_F(RandomQueue, LosesNothingThroughAWindowThatOverflows) { run(2, 4000, 2, 8, 20'000); }
TEST_F(RandomQueue, LosesNothingWithManyKeysAndFewLoadedMessages) { run(2, 3000, 200, 8, 50); }
TEST_F(RandomQueue, LosesNothingUnderOneKey) { run(1, 3000, 1, 4, 20); }

}  // namespace
}  // namespace sluice::queue::test
