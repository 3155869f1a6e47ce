#include "metrics/snapshot.h"

#include <gmock/gmock.h>

#include "metrics/buckets.h"

namespace sluice::metrics {
namespace {

using ::testing::ElementsAre;

TEST(Snapshot, SumsTheSeriesThatHaveTheLabels) {
  Registry registry;
  registry.addCounter(names::kDeliveries, {"internet", "delivered"}, [] { return 7.0; });
  registry.addCounter(names::kDeliveries, {"partner", "delivered"}, [] { return 5.0; });
  registry.addCounter(names::kDeliveries, {"partner", "bounced"}, [] { return 3.0; });
  registry.addGauge(names::kMemory, {}, [] { return 1024.0; });
  const Snapshot now(registry);
  EXPECT_EQ(now.sum(names::kDeliveries, {{"result", "delivered"}}), 12);
  EXPECT_EQ(now.sum(names::kDeliveries), 15);
  EXPECT_EQ(now.sum(names::kMemory), 1024);
  EXPECT_EQ(now.sum(names::kShed), 0);
}

TEST(Snapshot, BucketsAreCountedForThemselves) {
  Registry registry;
  Histogram one(kDnsSeconds);
  Histogram two(kDnsSeconds);
  one.observe(0.0001);
  one.observe(0.002);
  two.observe(0.002);
  two.observe(99);
  registry.addHistogram(names::kDnsSeconds, {"MX", "ok"}, {&one});
  registry.addHistogram(names::kDnsSeconds, {"A", "failed"}, {&two});
  const Snapshot now(registry);
  const Buckets all = now.buckets(names::kDnsSeconds);
  EXPECT_EQ(all.bounds, std::vector<double>(kDnsSeconds.begin(), kDnsSeconds.end()));
  EXPECT_THAT(all.counts, ElementsAre(1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1));
  EXPECT_EQ(now.buckets(names::kDnsSeconds, {{"result", "failed"}}).counts.back(), 1u);
  EXPECT_TRUE(now.buckets(names::kCommitSeconds).counts.empty());
}

}  // namespace
}  // namespace sluice::metrics
