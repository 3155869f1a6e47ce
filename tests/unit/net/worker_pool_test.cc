#include "net/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace sluice::net {
namespace {

TEST(WorkerPool, DoesTheWorkOnThreadsOfItsOwn) {
  WorkerPool pool(2, 10);
  std::promise<std::thread::id> where;
  EXPECT_TRUE(pool.run([&] { where.set_value(std::this_thread::get_id()); }));
  EXPECT_NE(where.get_future().get(), std::this_thread::get_id());
}

TEST(WorkerPool, DoesAsMuchAtOnceAsItHasThreads) {
  WorkerPool pool(2, 10);
  std::promise<void> first_meets_second;
  std::promise<void> done;
  pool.run([&] { first_meets_second.get_future().wait(), done.set_value(); });
  pool.run([&] { first_meets_second.set_value(); });
  EXPECT_EQ(done.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
}

TEST(WorkerPool, TurnsAwayWhatIsTooMuch) {
  WorkerPool pool(1, 2);
  std::promise<void> begun;
  std::promise<void> go_on;
  std::atomic<int> done = 0;
  pool.run([&] {
    begun.set_value();
    go_on.get_future().wait();
  });
  begun.get_future().wait();
  std::promise<void> last;
  EXPECT_TRUE(pool.run([&] { ++done; }));
  EXPECT_TRUE(pool.run([&] {
    ++done;
    last.set_value();
  }));
  EXPECT_FALSE(pool.run([&] { ++done; }));
  go_on.set_value();
  last.get_future().wait();
  EXPECT_EQ(done, 2);
}

TEST(WorkerPool, TakesNothingOnceItHasStopped) {
  WorkerPool pool(1, 10);
  pool.stop();
  EXPECT_FALSE(pool.run([] {}));
}

}  // namespace
}  // namespace sluice::net
