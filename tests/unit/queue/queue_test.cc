// What a message goes through from 250 to its end, with restarts in between.
#include "queue/queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/queue/queue_fixture.h"

namespace sluice::queue::test {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

std::vector<uint16_t> recipientsOf(const Work& work) {
  return {work.recipients().begin(), work.recipients().end()};
}

TEST(Queue, GivesAnAcceptedMessageToDeliveryAsItCame) {
  QueueHarness queue;
  queue.start();
  const auto id = queue.accept({"a@example.com", "b@example.com"}, "Subject: x\r\n\r\nbody\r\n");
  ASSERT_TRUE(id) << id.error().detail;
  auto work = queue.take("example.com");
  ASSERT_TRUE(work);
  EXPECT_EQ(work->id(), *id);
  EXPECT_EQ(work->envelope().reverse_path, "sender@example.com");
  EXPECT_THAT(recipientsOf(*work), ElementsAre(0, 1));
  EXPECT_EQ(work->attempts().attempts, 0u);
  EXPECT_EQ(queue.deliver(*work), "Subject: x\r\n\r\nbody\r\n");
  EXPECT_GE(queue.listeners[0]->ready_calls, 1);
  queue.settle(std::move(work), {{0, Settlement::What::Ended}, {1, Settlement::What::Ended}});
  EXPECT_EQ(queue.queue->health().messages, 0u);
  EXPECT_THAT(queue.list({}).items, SizeIs(0));
}

TEST(Queue, KeepsWhatIsNotDeliveredOverARestart) {
  QueueHarness queue;
  queue.start();
  const auto id = queue.accept({"a@example.com"}, "content");
  queue.restart();
  auto work = queue.take("example.com");
  ASSERT_TRUE(work);
  EXPECT_EQ(work->id(), *id);
  EXPECT_EQ(work->envelope().client, "127.0.0.1");
  EXPECT_EQ(queue.deliver(*work), "content");
  EXPECT_EQ(queue.queue->health().messages, 1u);
  queue.settle(std::move(work), {{0, Settlement::What::Ended}});
  queue.restart();
  EXPECT_EQ(queue.queue->health().messages, 0u);
  EXPECT_FALSE(queue.take("example.com", 0, 50ms));
}

TEST(Queue, LeavesADeferredMessageDeferredOverARestart) {
  QueueHarness queue;
  queue.start();
  queue.accept({"a@example.com"}, "content");
  auto work = queue.take("example.com");
  queue.settle(std::move(work), {[&] {
                 auto settlement = queue.deferred(1h, "451 4.2.0 later");
                 settlement.recipient = 0;
                 return settlement;
               }()});
  EXPECT_EQ(queue.status("example.com").deferred, 1u);
  queue.restart();
  EXPECT_EQ(queue.status("example.com").deferred, 1u);
  EXPECT_FALSE(queue.take("example.com", 0, 50ms));
  queue.clock.advance(61min);
  work = queue.take("example.com");
  ASSERT_TRUE(work);
  EXPECT_EQ(work->attempts().attempts, 1u);
  EXPECT_EQ(work->attempts().last_reply, "451 4.2.0 later");
  queue.drop(std::move(work));
}

TEST(Queue, SettlesEachRecipientOfAGroupForItself) {
  QueueHarness queue;
  queue.start();
  queue.accept({"a@x.test", "b@x.test", "c@x.test", "d@x.test"}, "content");
  auto work = queue.take("x.test");
  std::vector<Settlement> settlements{{0, Settlement::What::Ended}, queue.deferred(1h)};
  settlements[1].recipient = 1;
  settlements.push_back({2, Settlement::What::Held});
  queue.settle(std::move(work), settlements);  // 3 is not named: stays ready
  for (int round = 0; round < 2; ++round) {
    const auto status = queue.status("x.test");
    EXPECT_EQ(status.deferred, 1u);
    EXPECT_EQ(status.held, 1u);
    EXPECT_EQ(status.ready, 1u);
    work = queue.take("x.test");
    ASSERT_TRUE(work);
    EXPECT_THAT(recipientsOf(*work), ElementsAre(3));
    queue.drop(std::move(work));
    queue.restart();
    ASSERT_TRUE(eventually([&] { return queue.status("x.test").ready == 1; }));
  }
  queue.clock.advance(2h);
  std::vector<uint16_t> seen;
  for (int i = 0; i < 2; ++i) {
    work = queue.take("x.test");
    ASSERT_TRUE(work);
    seen.push_back(work->recipients()[0]);
    queue.settle(std::move(work), {{seen.back(), Settlement::What::Ended}});
  }
  EXPECT_THAT(seen, ::testing::UnorderedElementsAre(1, 3));
  EXPECT_EQ(queue.queue->health().messages, 1u);  // the held one
}

TEST(Queue, PutsBackAWorkThatIsDroppedWithoutSettling) {
  QueueHarness queue;
  queue.start();
  const auto first = queue.accept({"a@example.com"}, "1");
  const auto second = queue.accept({"a@example.com"}, "2");
  auto work = queue.take("example.com");
  EXPECT_EQ(work->id(), *first);
  EXPECT_EQ(queue.status("example.com").active, 1u);
  queue.drop(std::move(work));
  EXPECT_EQ(queue.status("example.com").ready, 2u);
  work = queue.take("example.com");
  EXPECT_EQ(work->id(), *first);
  queue.drop(std::move(work));
}

TEST(Queue, QueuesANoticeInTheStepThatEndsItsMessage) {
  QueueHarness queue;
  queue.start();
  queue.accept({"a@example.com"}, "content");
  auto work = queue.take("example.com");
  NewMessage notice;
  notice.envelope = QueueHarness::envelopeFor({"sender@example.com"}, "");
  notice.content.append("notice");
  notice.groups = {{"sender.test", {0}}};
  std::vector<NewMessage> notices;
  notices.push_back(std::move(notice));
  queue.settle(std::move(work), {{0, Settlement::What::Ended}}, std::move(notices));
  queue.restart();
  EXPECT_EQ(queue.queue->health().messages, 1u);
  work = queue.take("sender.test");
  ASSERT_TRUE(work);
  EXPECT_EQ(queue.deliver(*work), "notice");
  queue.drop(std::move(work));
}

TEST(Queue, WritesLargeContentAheadAndReadsItBackInChunks) {
  QueueHarness queue;
  queue.start();
  std::string content;
  for (int i = 0; content.size() < 3'000'000; ++i) content += "line " + std::to_string(i) + "\r\n";
  const auto id = queue.accept({"a@example.com"}, content);
  ASSERT_TRUE(id);
  auto work = queue.take("example.com");
  EXPECT_GT(work->content().chunks(), 10u);
  EXPECT_EQ(work->content().inMemory(), nullptr);
  EXPECT_EQ(queue.deliver(*work), content);
  EXPECT_EQ(queue.content(*id), content);
  queue.drop(std::move(work));
  queue.restart();
  EXPECT_EQ(queue.content(*id), content);
}

}  // namespace
}  // namespace sluice::queue::test
