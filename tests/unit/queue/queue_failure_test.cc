// What a failing disk does to mail: nothing is acknowledged that is not safe, nothing that was
// refused is delivered, and the queue comes back by itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <atomic>

#include "tests/unit/queue/failing_env.h"
#include "tests/unit/queue/queue_fixture.h"

namespace sluice::queue::test {
namespace {

using ::testing::SizeIs;

class FailingQueue : public ::testing::Test {
 protected:
  FailingQueue() {
    queue.options.env = env.get();
    // No buffer fills up here: a flush that meets a log whose sync has failed ends the process, as
    // Debian builds RocksDB (with its assertions).
    queue.options.database_memory_bytes = 64 << 20;
    queue.start();
  }
  ~FailingQueue() override {
    faults.stuck = false;
    faults.failing_log_syncs = faults.failing_log_appends = 0;
    faults.no_space = false;
    queue.stop();
  }
  void waitUntilWritable() {
    ASSERT_TRUE(eventually([&] { return queue.queue->health().writable; }));
  }
  Faults faults;
  std::unique_ptr<rocksdb::Env> env = failingEnv(faults);
  QueueHarness queue;
};

TEST_F(FailingQueue, AnswersNoMessageOfABatchWhoseSyncFailed) {
  ASSERT_TRUE(queue.accept({"a@x.test"}, "before"));
  faults.failing_log_syncs = 1;
  const auto refused = queue.accept({"a@x.test"}, "refused");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::Io);
  waitUntilWritable();
  ASSERT_TRUE(queue.accept({"a@x.test"}, "after"));
  EXPECT_EQ(faults.syncs_after_failure_of_same_file, 0);
  EXPECT_THAT(queue.events(StoreEvent::What::WriteFailed), SizeIs(1));
  EXPECT_THAT(queue.events(StoreEvent::What::Reopened), SizeIs(1));
  for (int round = 0; round < 2; ++round) {
    EXPECT_THAT(queue.list({}).items, SizeIs(2)) << "round " << round;
    queue.restart();
  }
  std::set<std::string> contents;
  for (int i = 0; i < 2; ++i) {
    auto work = queue.take("x.test");
    ASSERT_TRUE(work);
    contents.insert(*queue.deliver(*work));
    queue.settle(std::move(work), {{0, Settlement::What::Ended}});
  }
  EXPECT_EQ(contents, (std::set<std::string>{"after", "before"}));
  EXPECT_FALSE(queue.take("x.test", 0, 50ms));
}

TEST_F(FailingQueue, AnswersNoMessageWhoseWriteFailed) {
  faults.failing_log_appends = 1;
  EXPECT_FALSE(queue.accept({"a@x.test"}, "refused"));
  waitUntilWritable();
  EXPECT_THAT(queue.list({}).items, SizeIs(0));
  EXPECT_TRUE(queue.accept({"a@x.test"}, "later"));
}

TEST_F(FailingQueue, RepeatsASettlementThatTheFailureMayHaveLost) {
  ASSERT_TRUE(queue.accept({"a@x.test", "b@x.test"}, "content"));
  auto work = queue.take("x.test");
  auto later = queue.deferred(1h);
  later.recipient = 1;
  faults.failing_log_appends = 1;
  queue.settle(std::move(work), {{0, Settlement::What::Ended}, later});  // says when it is written
  EXPECT_EQ(queue.status("x.test").deferred, 1u);
  queue.restart();
  EXPECT_EQ(queue.status("x.test").deferred, 1u);
  EXPECT_EQ(queue.queue->health().messages, 1u);
  const auto page = queue.list({});
  ASSERT_THAT(page.items, SizeIs(1));
  ASSERT_THAT(page.items[0].recipients, SizeIs(1));
  EXPECT_EQ(page.items[0].recipients[0].recipient, "b@x.test");
}

TEST_F(FailingQueue, RepeatsAnUnsyncedSettlementWhenItsSyncFails) {
  ASSERT_TRUE(queue.accept({"a@x.test"}, "content"));
  auto work = queue.take("x.test");
  queue.settle(std::move(work), {{0, Settlement::What::Ended}});  // written, not yet synced
  faults.failing_log_syncs = 1;
  EXPECT_FALSE(queue.accept({"a@x.test"}, "refused"));
  waitUntilWritable();
  queue.restart();
  EXPECT_THAT(queue.list({}).items, SizeIs(0));
}

TEST_F(FailingQueue, RefusesMailWhileTheDiskStaysBroken) {
  faults.no_space = true;
  faults.failing_log_appends = -1;
  EXPECT_FALSE(queue.accept({"a@x.test"}, "refused"));
  EXPECT_FALSE(queue.queue->health().writable);
  EXPECT_FALSE(queue.queue->health().ready);
  const auto may = queue.on(0, [](ShardQueue& face) { return face.mayAccept(0); });
  ASSERT_FALSE(may);
  EXPECT_EQ(may.error().code, Errc::Io);
  EXPECT_FALSE(queue.accept({"a@x.test"}, "refused at once"));
  faults.no_space = false;
  faults.failing_log_appends = 0;
  ASSERT_TRUE(eventually([&] { return queue.queue->health().writable; }, 10s));
  EXPECT_TRUE(queue.accept({"a@x.test"}, "accepted"));
  EXPECT_THAT(queue.list({}).items, SizeIs(1));
}

TEST_F(FailingQueue, UndoesACommitThatTookTooLong) {
  queue.stop();
  queue.options.commit_timeout = 500ms;
  queue.start();
  faults.stuck = true;
  const auto late = queue.accept({"a@x.test"}, "late");
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::Timeout);
  EXPECT_EQ(queue.metrics->shards[0].timeouts.value(), 1u);
  faults.stuck = false;
  EXPECT_TRUE(queue.accept({"a@y.test"}, "in time, so the late one is through"));
  EXPECT_TRUE(eventually([&] { return queue.list({}).items.size() == 1; }));
  EXPECT_FALSE(queue.take("x.test", 0, 50ms));
  queue.restart();
  EXPECT_THAT(queue.list({}).items, SizeIs(1));
  EXPECT_FALSE(queue.take("x.test", 0, 50ms));
}

TEST_F(FailingQueue, UndoesALateCommitAlsoWhenItStopsMeanwhile) {
  queue.stop();
  queue.options.commit_timeout = 50ms;
  queue.start();
  faults.stuck = true;
  EXPECT_FALSE(queue.accept({"a@x.test"}, "late"));
  std::atomic<bool> stopping = false;
  std::thread release([&] {
    stopping.wait(false);
    faults.stuck = false;
  });
  stopping = true;
  stopping.notify_one();
  queue.stop();
  release.join();
  queue.start();
  EXPECT_THAT(queue.list({}).items, SizeIs(0));
}

TEST_F(FailingQueue, RemovesAtTheStartWhatWasRefusedWhileItsSyncHung) {
  queue.stop();
  queue.options.commit_timeout = 50ms;
  queue.start();
  ASSERT_TRUE(queue.accept({"a@x.test"}, "before"));
  faults.stuck = true;
  const auto late = queue.accept({"a@x.test", "b@y.test"}, "late");
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::Timeout);
  queue.die([&] { faults.stuck = false; });
  for (int round = 0; round < 2; ++round) {
    queue.start();
    EXPECT_THAT(queue.list({}).items, SizeIs(1)) << "round " << round;
    EXPECT_FALSE(queue.take("y.test", 0, 50ms));
    queue.stop();
  }
}

TEST_F(FailingQueue, RemovesAtTheStartWhatWasRefusedBecauseTheStoreStayedShut) {
  ASSERT_TRUE(queue.accept({"a@x.test"}, "before"));
  faults.no_space = true;
  faults.failing_log_syncs = -1;
  const auto refused = queue.accept({"a@x.test"}, "refused");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().code, Errc::Cancelled);
  queue.die([&] {
    faults.no_space = false;
    faults.failing_log_syncs = 0;
  });
  queue.start();
  EXPECT_THAT(queue.list({}).items, SizeIs(1));
}

TEST_F(FailingQueue, SaysThatItCannotSayWhereARefusalCannotBeNoted) {
  queue.stop();
  queue.options.commit_timeout = 50ms;
  const std::string file = queue.options.directory + "/refused";
  std::filesystem::remove(file);
  std::filesystem::create_directory(file);  // no file can be made here
  queue.start();
  faults.stuck = true;
  const auto late = queue.accept({"a@x.test"}, "late");
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::Cancelled);
  faults.stuck = false;
  EXPECT_TRUE(eventually([&] { return queue.list({}).items.empty(); }));
}

TEST_F(FailingQueue, LeavesNothingOfALargeContentWhoseCommitFailed) {
  const std::string large(2'000'000, 'x');
  faults.failing_log_syncs = 1;
  EXPECT_FALSE(queue.accept({"a@x.test"}, large));
  waitUntilWritable();
  EXPECT_TRUE(queue.accept({"a@x.test"}, large));
  queue.restart();
  EXPECT_THAT(queue.list({}).items, SizeIs(1));
  auto work = queue.take("x.test");
  ASSERT_TRUE(work);
  EXPECT_EQ(queue.deliver(*work), large);
  queue.drop(std::move(work));
}

TEST_F(FailingQueue, GoesOnDeliveringAfterAFailureInTheMiddle) {
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(queue.accept({"a@x.test"}, std::to_string(i)));
  std::set<std::string> seen;
  for (int i = 0; i < 50; ++i) {
    if (i % 10 == 5) faults.failing_log_appends = 1;
    auto work = queue.take("x.test");
    ASSERT_TRUE(work);
    EXPECT_TRUE(seen.insert(*queue.deliver(*work)).second);
    queue.settle(std::move(work), {{0, Settlement::What::Ended}});
  }
  EXPECT_FALSE(queue.take("x.test", 0, 50ms));
  queue.restart();
  EXPECT_EQ(queue.queue->health().messages, 0u);
}

}  // namespace
}  // namespace sluice::queue::test
