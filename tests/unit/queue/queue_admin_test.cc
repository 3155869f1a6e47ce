// Looking at the queue and acting on it by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/queue/queue_fixture.h"

namespace sluice::queue::test {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

MessageFilter byKey(const std::string& key) {
  MessageFilter filter;
  filter.key_or_domain = key;
  return filter;
}

class AdminQueue : public ::testing::Test {
 protected:
  AdminQueue() { queue.start(); }
  std::vector<RecipientState> states(const MessageId& id) {
    MessageFilter filter;
    filter.ids = {id};
    const auto page = queue.list(filter);
    std::vector<RecipientState> out;
    for (const auto& item : page.items)
      for (const auto& recipient : item.recipients) out.push_back(recipient.state);
    return out;
  }
  void endAll(const QueueKey& key, int count) {
    for (int i = 0; i < count; ++i) {
      auto work = queue.take(key);
      ASSERT_TRUE(work) << i;
      auto settlements = QueueHarness::all(*work, {});
      queue.settle(std::move(work), std::move(settlements));
    }
  }
  QueueHarness queue;
};

TEST_F(AdminQueue, HoldsReadyAndDeferredMessagesUntilReleased) {
  const auto ready = *queue.accept({"a@x.test"}, "1");
  const auto other = *queue.accept({"a@y.test"}, "2");
  const auto held = queue.act(Action::Hold, byKey("x.test"));
  EXPECT_EQ(held.matched, 1u);
  EXPECT_EQ(held.changed, 1u);
  EXPECT_THAT(states(ready), ElementsAre(RecipientState::Held));
  EXPECT_THAT(states(other), ElementsAre(RecipientState::Ready));
  EXPECT_FALSE(queue.take("x.test", 0, 50ms));
  queue.restart();
  EXPECT_FALSE(queue.take("x.test", 0, 50ms));
  EXPECT_EQ(queue.status("x.test").held, 1u);
  EXPECT_EQ(queue.act(Action::Hold, byKey("x.test")).changed, 0u);
  EXPECT_EQ(queue.act(Action::Release, {}).changed, 1u);
  auto work = queue.take("x.test");
  ASSERT_TRUE(work);
  queue.drop(std::move(work));
}

TEST_F(AdminQueue, RetriesADeferredMessageAtOnce) {
  const auto id = *queue.accept({"a@x.test"}, "1");
  auto work = queue.take("x.test");
  queue.settle(std::move(work), {queue.deferred(10h)});
  EXPECT_THAT(states(id), ElementsAre(RecipientState::Deferred));
  EXPECT_EQ(queue.act(Action::Retry, byKey("X.TEST")).changed, 1u);
  work = queue.take("x.test");
  ASSERT_TRUE(work);
  EXPECT_EQ(work->attempts().attempts, 1u);
  EXPECT_THAT(states(id), ElementsAre(RecipientState::Active));
  EXPECT_EQ(queue.act(Action::Retry, {}).changed, 0u);  // it is being tried
  queue.drop(std::move(work));
}

TEST_F(AdminQueue, DoesWhatWasAskedAfterTheAttemptThatIsUnderWay) {
  const auto id = *queue.accept({"a@x.test", "b@x.test"}, "1");
  auto work = queue.take("x.test");
  EXPECT_EQ(queue.act(Action::Hold, {}).changed, 1u);
  queue.settle(std::move(work), {{0, Settlement::What::Ended}});
  ASSERT_TRUE(eventually([&] { return queue.status("x.test").held == 1; }));
  EXPECT_THAT(states(id), ElementsAre(RecipientState::Held));
  EXPECT_FALSE(queue.take("x.test", 0, 50ms));
}

TEST_F(AdminQueue, GivesMessagesToBeRemovedToTheCaller) {
  for (int i = 0; i < 700; ++i) ASSERT_TRUE(queue.accept({"a@x.test", "b@y.test"}, "1"));
  std::atomic<int> given{0};
  const auto result = queue.act(Action::Remove, byKey("x.test"), [&](std::unique_ptr<Work> work) {
    ++given;
    EXPECT_EQ(work->key(), "x.test");
    auto settlements = QueueHarness::all(*work, {});
    queue.queue->shard(0).settle(std::move(work), std::move(settlements), {}, nullptr);
  });
  EXPECT_EQ(result.matched, 700u);
  EXPECT_EQ(given, 700);
  ASSERT_TRUE(eventually([&] { return queue.status("x.test").key.empty(); }));
  EXPECT_EQ(queue.status("y.test").ready, 700u);
  EXPECT_EQ(queue.queue->health().messages, 700u);
  queue.restart();
  EXPECT_TRUE(queue.status("x.test").key.empty());
  EXPECT_TRUE(eventually([&] { return queue.status("y.test").ready == 700u; }));
}

TEST_F(AdminQueue, ActsOnOneRecipientOfAGroupAlone) {
  const auto id = *queue.accept({"a@x.test", "b@x.test", "c@x.test"}, "1");
  MessageFilter filter;
  filter.recipient = "b@X.test";
  EXPECT_EQ(queue.act(Action::Hold, filter).changed, 1u);
  auto work = queue.take("x.test");
  ASSERT_TRUE(work);
  EXPECT_THAT(std::vector<uint16_t>(work->recipients().begin(), work->recipients().end()),
              ElementsAre(0, 2));
  queue.settle(std::move(work), {{0, Settlement::What::Ended}, {2, Settlement::What::Ended}});
  EXPECT_THAT(states(id), ElementsAre(RecipientState::Held));
  std::atomic<int> given{0};
  queue.act(Action::Remove, filter, [&](std::unique_ptr<Work> removed) {
    ++given;
    auto settlements = QueueHarness::all(*removed, {});
    queue.queue->shard(0).settle(std::move(removed), std::move(settlements), {}, nullptr);
  });
  EXPECT_EQ(given, 1);
  EXPECT_TRUE(eventually([&] { return queue.queue->health().messages == 0; }));
}

TEST_F(AdminQueue, ListsInPagesWithoutLossOrRepetition) {
  std::set<std::string> accepted;
  for (int i = 0; i < 95; ++i)
    accepted.insert(
        queue.accept({"a@x.test"}, "1", 0, i % 2 ? "odd@e.test" : "even@e.test")->toString());
  std::set<std::string> listed;
  std::optional<MessageId> after;
  int pages = 0;
  do {
    const auto page = queue.list({}, after, 10);
    EXPECT_LE(page.items.size(), 10u);
    for (const auto& item : page.items) EXPECT_TRUE(listed.insert(item.id.toString()).second);
    after = page.next;
    ++pages;
  } while (after);
  EXPECT_EQ(listed, accepted);
  EXPECT_EQ(pages, 10);
  MessageFilter odd;
  odd.sender = "<odd@e.test>";
  EXPECT_THAT(queue.list(odd).items, SizeIs(47));
  MessageFilter old;
  old.older_than = 1h;
  EXPECT_THAT(queue.list(old).items, SizeIs(0));
  MessageFilter deferred;
  deferred.state = RecipientState::Deferred;
  EXPECT_THAT(queue.list(deferred).items, SizeIs(0));
}

TEST_F(AdminQueue, GivesWhatIsOverdueAndLeavesTheRest) {
  const WallTime before = queue.clock.wall();
  ASSERT_TRUE(queue.accept({"a@x.test"}, "old"));
  auto work = queue.take("x.test");
  queue.settle(std::move(work), {queue.deferred(100h)});
  queue.clock.advance(5h);
  ASSERT_TRUE(queue.accept({"a@x.test"}, "new"));
  std::vector<std::string> judged;
  queue.listeners[0]->on_overdue = [&](std::unique_ptr<Work> overdue) {
    judged.push_back(overdue->attempts().delay_notified ? "again" : "first");
    auto later = queue.deferred(100h);
    later.delay_notified = true;
    later.count_attempt = false;
    queue.queue->shard(0).settle(std::move(overdue), {later}, {}, nullptr);
  };
  const auto sweep = [&](WallTime notice, WallTime expire) {
    const int calls = queue.listeners[0]->overdue_calls;
    queue.on(0, [&](ShardQueue& face) {
      face.sweepOverdue("x.test", notice, expire);
      return 0;
    });
    return eventually([&] { return queue.listeners[0]->overdue_calls > calls; }, 300ms);
  };
  EXPECT_TRUE(sweep(before + 1h, WallTime{}));
  EXPECT_FALSE(sweep(before + 1h, WallTime{}));  // notified
  EXPECT_TRUE(sweep(before + 1h, before + 1h));  // expired all the same
  EXPECT_THAT(judged, ElementsAre("first", "again"));
}

TEST_F(AdminQueue, KeepsSettingsOverARestart) {
  ASSERT_TRUE(queue.queue->putSetting("suspended/x.test", "1"));
  ASSERT_TRUE(queue.queue->putSetting("suspended/y.test", "1"));
  ASSERT_TRUE(queue.queue->putSetting("suspended/y.test", "2"));
  ASSERT_TRUE(queue.queue->removeSetting("suspended/x.test"));
  queue.restart();
  const auto settings = queue.queue->settings("suspended/");
  ASSERT_THAT(settings, SizeIs(1));
  EXPECT_EQ(settings[0], (std::pair<std::string, std::string>("suspended/y.test", "2")));
}

TEST_F(AdminQueue, MovesAGroupToAnotherKey) {
  ASSERT_TRUE(queue.accept({"a@x.test"}, "1"));
  auto work = queue.take("x.test");
  Settlement moved{0, Settlement::What::Ready};
  moved.key = "=smart";
  queue.settle(std::move(work), {moved});
  EXPECT_FALSE(queue.take("x.test", 0, 50ms));
  queue.restart();
  work = queue.take("=smart");
  ASSERT_TRUE(work);
  EXPECT_EQ(work->attempts().attempts, 0u);
  queue.drop(std::move(work));
}

TEST(QueueLanes, AreServedByWhoeverIsThereAfterARestart) {
  QueueHarness queue(3);
  queue.start();
  for (size_t i = 0; i < 30; ++i) ASSERT_TRUE(queue.accept({"a@x.test"}, std::to_string(i), i % 3));
  queue.stop();
  queue.setShards(1);
  queue.start();
  std::set<std::string> seen;
  for (int i = 0; i < 30; ++i) {
    auto work = queue.take("x.test");
    ASSERT_TRUE(work) << i;
    seen.insert(*queue.deliver(*work));
    queue.settle(std::move(work), {{0, Settlement::What::Ended}});
  }
  EXPECT_THAT(seen, SizeIs(30));
  queue.stop();
  queue.setShards(2);
  queue.start();
  EXPECT_EQ(queue.queue->health().messages, 0u);
}

}  // namespace
}  // namespace sluice::queue::test
