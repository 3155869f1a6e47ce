#include "metrics/destinations.h"

#include <gmock/gmock.h>

#include "metrics/registry.h"
#include "tests/unit/metrics/text_format.h"

namespace sluice::metrics {
namespace {

using ::testing::IsEmpty;

class Destinations : public ::testing::Test {
 protected:
  explicit Destinations(size_t named = 2) : metrics_(named, [this] { return samples_; }) {
    registry_.addCollectable(metrics_);
  }
  Exposition scrape() {
    auto seen = readExposition(registry_.exposition());
    EXPECT_THAT(seen.mistakes, IsEmpty());
    return seen;
  }
  static std::string delivered(const std::string& name) {
    return "sluice_destination_deliveries_total{destination=\"" + name + "\",result=\"delivered\"}";
  }
  static std::string deferred(const std::string& name) {
    return "sluice_destination_recipients{destination=\"" + name + "\",state=\"deferred\"}";
  }
  static DestinationSample sample(const std::string& name, uint64_t queued, uint64_t delivered) {
    DestinationSample out{.destination = name, .deferred = queued};
    out.results[0] = delivered;
    return out;
  }

  std::vector<DestinationSample> samples_;
  Registry registry_;
  DestinationMetrics metrics_;
};

TEST_F(Destinations, NamesTheBusiestAndSumsTheRest) {
  samples_ = {sample("a.test", 5, 0), sample("b.test", 50, 0), sample("c.test", 2, 0),
              sample("d.test", 20, 0)};
  const auto seen = scrape();
  EXPECT_EQ(seen.at(deferred("b.test")), 50);
  EXPECT_EQ(seen.at(deferred("d.test")), 20);
  EXPECT_EQ(seen.at(deferred("other")), 7);
  EXPECT_EQ(seen.at(deferred("a.test")), -1);
}

TEST_F(Destinations, AddsTheShardsOfOneDestination) {
  samples_ = {sample("a.test", 5, 1), sample("a.test", 6, 2)};
  const auto seen = scrape();
  EXPECT_EQ(seen.at(deferred("a.test")), 11);
  EXPECT_EQ(seen.at(delivered("a.test")), 3);
}

TEST_F(Destinations, CountersOfOtherNeverRunBack) {
  samples_ = {sample("a.test", 9, 0), sample("b.test", 8, 0), sample("c.test", 0, 100)};
  samples_[2].deferred = 0;
  scrape();  // c.test is named: 100 deliveries at once
  samples_ = {sample("a.test", 900, 0), sample("b.test", 800, 0), sample("c.test", 0, 130)};
  EXPECT_EQ(scrape().at(delivered("other")), 30);
  samples_ = {sample("a.test", 0, 0), sample("b.test", 0, 0), sample("c.test", 5000, 140)};
  const auto seen = scrape();
  EXPECT_EQ(seen.at(delivered("other")), 30);
  EXPECT_EQ(seen.at(delivered("c.test")), 10);
}

TEST_F(Destinations, ADestinationThatWasForgottenStartsAgain) {
  samples_ = {sample("a.test", 1, 10)};
  scrape();
  samples_ = {};
  EXPECT_EQ(scrape().at(delivered("other")), 0);
  samples_ = {sample("a.test", 1, 4)};
  EXPECT_EQ(scrape().at(delivered("a.test")), 4);
}

TEST_F(Destinations, OneThatIsCalledOtherIsNotMistakenForTheSum) {
  samples_ = {sample("other", 3, 0)};
  const auto seen = scrape();
  EXPECT_EQ(seen.at(deferred("other")), 0);
  EXPECT_EQ(seen.at(deferred("\\\"other\\\"")), 3);
}

TEST(QueueRecipients, AreTheSumOfAllDestinationsAndShownWhenZero) {
  std::optional<std::vector<DestinationSample>> samples;
  samples.emplace();
  const DestinationMetrics metrics(
      1, [&] { return samples; }, true);
  Registry registry;
  registry.addCollectable(metrics);
  const std::string held = "sluice_queue_recipients{state=\"held\"}";
  EXPECT_EQ(readExposition(registry.exposition()).at(held), 0);
  samples = {{.destination = "a.test", .held = 2}, {.destination = "b.test", .held = 3}};
  const auto seen = readExposition(registry.exposition());
  EXPECT_THAT(seen.mistakes, IsEmpty());
  EXPECT_EQ(seen.at(held), 5);
  samples.reset();  // nobody answers: a gap is better than a wrong zero
  EXPECT_EQ(registry.exposition(), "");
}

// Fifty thousand random recipient domains: at most 2,000 series, and a scrape stays quick.
TEST_F(Destinations, ManyDestinationsStayFewSeries) {
  for (int i = 0; i < 50'000; ++i) {
    samples_.push_back(sample("d" + std::to_string(i) + ".test", static_cast<uint64_t>(i), 1));
  }
  const auto seen = scrape();
  EXPECT_EQ(seen.samples.size(), 3u * 11u);
  EXPECT_EQ(seen.at(deferred("d49999.test")), 49'999);
}

}  // namespace
}  // namespace sluice::metrics
