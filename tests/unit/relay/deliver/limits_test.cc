// Limits of a destination over all shards, and the rest of its hosts.
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "relay/deliver/connection_budget.h"
#include "relay/deliver/host_health.h"

namespace sluice::relay {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(DestinationBudget, NeverLeasesMoreThanItsLimitToAllShards) {
  DestinationBudget budget(7, Rate{});
  std::atomic<int> now{0}, most{0}, leases{0};
  std::vector<std::thread> shards;
  for (int i = 0; i < 4; ++i) {
    shards.emplace_back([&] {
      for (int round = 0; round < 20'000; ++round) {
        if (!budget.tryLease()) continue;
        const int held = ++now;
        int seen = most.load();
        while (held > seen && !most.compare_exchange_weak(seen, held)) {
        }
        ++leases;
        --now;
        budget.giveBack();
      }
    });
  }
  for (std::thread& shard : shards) shard.join();
  EXPECT_LE(most.load(), 7);
  EXPECT_GT(leases.load(), 0);
  EXPECT_EQ(budget.leased(), 0);
}

TEST(DestinationBudget, TellsTheNextInLineWhenALeaseComesBack) {
  auto loop = std::move(*net::Loop::create());
  DestinationBudget budget(1, Rate{});
  ASSERT_TRUE(budget.tryLease());
  ASSERT_FALSE(budget.tryLease());
  bool told = false;
  budget.waitForLease(*loop, DestinationBudget::Claim::Share, [&] {
    told = budget.tryLease();
    loop->stop();
  });
  EXPECT_TRUE(budget.contested());
  loop->post([&] { budget.giveBack(); });
  loop->run();
  EXPECT_TRUE(told);
  EXPECT_FALSE(budget.contested());
}

TEST(DestinationBudget, ServesWishesBehindAllWhoLackTheirShare) {
  auto loop = std::move(*net::Loop::create());
  DestinationBudget budget(1, Rate{});
  ASSERT_TRUE(budget.tryLease());
  std::string told;
  const auto told_of = [&](char who) {
    return [&, who] {
      told.push_back(who);
      if (budget.tryLease()) budget.giveBack();
      if (told.size() == 3) loop->stop();
    };
  };
  using Claim = DestinationBudget::Claim;
  budget.waitForLease(*loop, Claim::BeyondShare, told_of('w'));
  EXPECT_TRUE(budget.wished());
  EXPECT_FALSE(budget.contested());
  budget.waitForLease(*loop, Claim::Share, told_of('a'));
  budget.waitForLease(*loop, Claim::Share, told_of('b'));
  loop->post([&] { budget.giveBack(); });
  loop->run();
  EXPECT_EQ(told, "abw");
  EXPECT_FALSE(budget.wished());
}

TEST(DestinationBudget, TellsAtOnceWhenTheLeaseCameBackBeforeTheWait) {
  auto loop = std::move(*net::Loop::create());
  DestinationBudget budget(1, Rate{});
  bool told = false;
  loop->post([&] {
    budget.waitForLease(*loop, DestinationBudget::Claim::Share, [&] {
      told = true;
      loop->stop();
    });
  });
  loop->run();
  EXPECT_TRUE(told);
}

TEST(DestinationBudget, LetsMessagesThroughAtItsRate) {
  DestinationBudget budget(1, Rate{10, seconds(1)});
  SteadyTime now{seconds(100)};
  int sent = 0;
  for (int tick = 0; tick < 300; ++tick, now += milliseconds(10)) {
    while (budget.takeToken(now) == Duration{}) ++sent;
  }
  EXPECT_GE(sent, 38);  // a burst of one second, then 10 a second for three
  EXPECT_LE(sent, 40);
  EXPECT_LE(budget.takeToken(now), milliseconds(101));
}

TEST(BudgetRegistry, SharesABudgetByIdentityAndTakesNewLimits) {
  BudgetRegistry registry;
  DeliveryLimits limits;
  limits.max_connections = 1;
  const auto first = registry.get("a", limits);
  EXPECT_EQ(registry.get("a", limits), first);
  EXPECT_NE(registry.get("b", limits), first);
  ASSERT_TRUE(first->tryLease());
  EXPECT_FALSE(first->tryLease());
  limits.max_connections = 2;
  registry.get("a", limits);
  EXPECT_TRUE(first->tryLease());
}

TEST(HostHealth, RestsLongerWithEachFailureUpToTheLimit) {
  HostHealth health;
  const Endpoint host = *Endpoint::parse("192.0.2.1:25");
  SteadyTime now{seconds(1000)};
  EXPECT_LE(health.restsUntil(host), now);
  for (const int expected : {30, 60, 120, 120}) {
    health.failed(host, now, seconds(30), seconds(120));
    health.failed(host, now, seconds(30), seconds(120));  // a second connection, the same failure
    EXPECT_EQ(health.restsUntil(host), now + seconds(expected));
    now = health.restsUntil(host);
  }
  health.reached(host);
  EXPECT_LE(health.restsUntil(host), now);
}

}  // namespace
}  // namespace sluice::relay
