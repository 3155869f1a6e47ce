#include "relay/admin/single_flight.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

namespace sluice::relay {
namespace {

TEST(SingleFlight, ThoseWhoComeMeanwhileShareTheNextAnswer) {
  SingleFlight<int> flight;
  std::atomic<int> asked{0};
  std::atomic<int> came{0};
  std::atomic<bool> first_runs{false};
  std::atomic<bool> go{false};
  std::thread first([&] {
    flight.get([&] {
      first_runs = true;
      first_runs.notify_all();
      go.wait(false);
      return ++asked;
    });
  });
  first_runs.wait(false);
  std::vector<std::thread> others;
  std::atomic<int> stale{0};
  for (int i = 0; i < 20; ++i) {
    others.emplace_back([&] {
      ++came;
      // The first question began before this call: its answer may be too old.
      if (flight.get([&] { return ++asked; }) == 1) ++stale;
    });
  }
  while (came < 20) std::this_thread::yield();
  go = true;
  go.notify_all();
  first.join();
  for (std::thread& other : others) other.join();
  EXPECT_EQ(stale, 0);
  EXPECT_LE(asked, 21);
  EXPECT_GE(asked, 2);
}

TEST(SingleFlight, OneAfterTheOtherIsAskedAgain) {
  SingleFlight<int> flight;
  int asked = 0;
  EXPECT_EQ(flight.get([&] { return ++asked; }), 1);
  EXPECT_EQ(flight.get([&] { return ++asked; }), 2);
}

TEST(SingleFlight, AQuestionThatThrowsBlocksNobody) {
  SingleFlight<int> flight;
  EXPECT_THROW(flight.get([]() -> int { throw std::runtime_error("no memory"); }),
               std::runtime_error);
  EXPECT_EQ(flight.get([] { return 7; }), 7);
}

}  // namespace
}  // namespace sluice::relay
