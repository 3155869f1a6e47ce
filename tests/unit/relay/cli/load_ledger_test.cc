// Ledger against journal: what was lost, what came twice, what should not have come.
#include "relay/cli/load_ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "relay/cli/latency_histogram.h"

namespace sluice::relay {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string file(const std::string& name, const std::string& text) {
  const std::string path = testing::TempDir() + "load_ledger_" + name;
  std::ofstream(path) << text;
  return path;
}

TEST(LoadCheck, CountsEachFate) {
  const std::string ledger = file("ledger",
                                  "A r.1 a@x.test\nA r.2 a@x.test\nA r.3 a@x.test\n"
                                  "U r.4 a@x.test\nU r.5 a@x.test\n"
                                  "R r.6 a@x.test 550\nR r.7 a@x.test 452\n");
  const std::string ids =
      file("ids",
           "r.1 a@x.test\nr.2 a@x.test\nr.2 a@x.test\nr.4 a@x.test\n"
           "r.6 a@x.test\nr.99 a@x.test\n<other@y.test> a@x.test\nq.1 a@x.test\n");
  const LoadCheck check = checkDeliveries({ledger}, {ids}).value();
  EXPECT_EQ(check.accepted, 3u);
  EXPECT_EQ(check.delivered, 2u);
  EXPECT_EQ(check.lost, 1u);
  EXPECT_THAT(check.lost_examples, ElementsAre("r.3 a@x.test"));
  EXPECT_EQ(check.duplicates, 1u);
  EXPECT_EQ(check.unknown, 2u);
  EXPECT_EQ(check.unknown_delivered, 1u);
  EXPECT_EQ(check.ghosts, 2u);
  EXPECT_EQ(check.refused, 2u);
  EXPECT_EQ(check.foreign, 2u);
  EXPECT_FALSE(check.good());
}

TEST(LoadCheck, CountsAReportedFailureNotAsLost) {
  const std::string ledger = file("told", "A r.1 a@x.test\nA r.2 a@x.test\n");
  const std::string ids = file("told_ids", "r.1 a@x.test\nr.2 a@x.test failed\n");
  const LoadCheck check = checkDeliveries({ledger}, {ids}).value();
  EXPECT_EQ(check.delivered, 1u);
  EXPECT_EQ(check.reported, 1u);
  EXPECT_TRUE(check.good());
}

TEST(LoadCheck, IsGoodWhereAllThatWasAcceptedCame) {
  const std::string ledger = file("good", "A r.1 a@x.test\nU r.2 a@x.test\n");
  const LoadCheck check = checkDeliveries({ledger}, {file("good_ids", "r.1 a@x.test\n")}).value();
  EXPECT_TRUE(check.good());
}

TEST(LoadCheck, SaysWhichFileIsNoLedger) {
  EXPECT_EQ(checkDeliveries({"/no/such/file"}, {}).error().code, Errc::Io);
  const auto check = checkDeliveries({file("bad", "hello\n")}, {});
  ASSERT_FALSE(check);
  EXPECT_EQ(check.error().code, Errc::Malformed);
}

TEST(LoadLedger, WritesWhatCheckReads) {
  const std::string path = testing::TempDir() + "load_ledger_written";
  LoadLedger ledger = LoadLedger::create(path).value();
  ledger.note('A', "r.1", "a@x.test");
  ledger.note('R', "r.2", "a@x.test", 550);
  ledger.note('U', "r.3", "a@x.test");
  ledger.flush();
  const LoadCheck check = checkDeliveries({path}, {}).value();
  EXPECT_EQ(check.lost, 1u);
  EXPECT_EQ(check.refused, 1u);
  EXPECT_EQ(check.unknown, 1u);
}

TEST(LatencyHistogram, IsWithinThreePercent) {
  LatencyHistogram histogram;
  for (uint64_t i = 1; i <= 100'000; ++i) histogram.add(i * 1000);
  EXPECT_NEAR(static_cast<double>(histogram.percentileNs(50)), 50e6, 2e6);
  EXPECT_NEAR(static_cast<double>(histogram.percentileNs(99)), 99e6, 3e6);
  EXPECT_EQ(histogram.maxNs(), 100'000'000u);
  EXPECT_LE(histogram.percentileNs(100), histogram.maxNs());
  EXPECT_EQ(LatencyHistogram().percentileNs(50), 0u);
}

}  // namespace
}  // namespace sluice::relay
