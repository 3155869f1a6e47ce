#include "net/loop.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace sluice::net {
namespace {

using std::chrono::milliseconds;

struct OnLoop : testing::Test {
  std::unique_ptr<Loop> loop = std::move(*Loop::create());
};

TEST_F(OnLoop, RunsWhatOtherThreadsPostInOrder) {
  std::vector<int> seen;
  std::thread other([&] {
    for (int i = 0; i < 1000; ++i) loop->post([&seen, i] { seen.push_back(i); });
    loop->stop();
  });
  loop->run();
  other.join();
  ASSERT_EQ(seen.size(), 1000u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(seen[static_cast<size_t>(i)], i);
}

TEST_F(OnLoop, RunsDeferredWorkAfterTheCallbackThatDeferredIt) {
  std::vector<int> seen;
  loop->post([&] {
    loop->defer([&] {
      seen.push_back(2);
      loop->stop();
    });
    seen.push_back(1);
  });
  loop->run();
  EXPECT_EQ(seen, (std::vector<int>{1, 2}));
}

TEST_F(OnLoop, FiresDeadlinesInOrderAndNeverEarly) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<int> fired;
  std::vector<std::unique_ptr<Deadline>> deadlines;
  for (const int ms : {700, 5, 60, 120, 530}) {  // over a cascade of the wheel
    deadlines.push_back(std::make_unique<Deadline>([&, ms] {
      EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(ms - 2));
      fired.push_back(ms);
      if (fired.size() == 5) loop->stop();
    }));
    deadlines.back()->arm(loop->deadlines(), milliseconds(ms));
  }
  loop->run();
  EXPECT_EQ(fired, (std::vector<int>{5, 60, 120, 530, 700}));
}

TEST_F(OnLoop, NeverFiresACancelledOrDestroyedDeadline) {
  Deadline cancelled([] { FAIL() << "cancelled"; });
  auto destroyed = std::make_unique<Deadline>([] { FAIL() << "destroyed"; });
  Deadline first;
  first.onDue([&] {
    cancelled.cancel();
    destroyed.reset();
  });
  // All due in one tick: the first to fire cancels the other two.
  cancelled.arm(loop->deadlines(), milliseconds(20));
  destroyed->arm(loop->deadlines(), milliseconds(20));
  first.arm(loop->deadlines(), milliseconds(20));
  Deadline end([&] { loop->stop(); });
  end.arm(loop->deadlines(), milliseconds(60));
  loop->run();
}

TEST_F(OnLoop, LetsADeadlineArmItselfAgainAndDestroyItself) {
  int rounds = 0;
  auto deadline = std::make_unique<Deadline>();
  deadline->onDue([&] {
    if (++rounds < 3) return deadline->arm(loop->deadlines(), milliseconds(1));
    deadline.reset();
    loop->stop();
  });
  deadline->arm(loop->deadlines(), milliseconds(1));
  loop->run();
  EXPECT_EQ(rounds, 3);
}

TEST_F(OnLoop, RearmingReplacesTheEarlierTime) {
  int fired = 0;
  Deadline deadline([&] { ++fired; });
  deadline.arm(loop->deadlines(), milliseconds(10));
  deadline.arm(loop->deadlines(), std::chrono::hours(50 * 24));
  Deadline end([&] { loop->stop(); });
  end.arm(loop->deadlines(), milliseconds(80));
  loop->run();
  EXPECT_EQ(fired, 0);
  EXPECT_TRUE(deadline.armed());
}

}  // namespace
}  // namespace sluice::net
