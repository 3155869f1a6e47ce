#include "metrics/registry.h"

#include <gmock/gmock.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <set>

#include "metrics/buckets.h"
#include "metrics/process.h"
#include "tests/unit/metrics/text_format.h"

namespace sluice::metrics {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Every metric of names.h, with hostile label values.
void feedAll(Registry& registry, std::deque<Histogram>& histograms) {
  for (const Metric* metric : kAllMetrics) {
    const LabelValues labels(metric->labelCount(), "a\"b\\c\nd\xff\xe2\x80\xa8\x01 e}");
    if (metric->type == Type::Histogram) {
      Histogram& cell = histograms.emplace_back(kCommitSeconds);
      cell.observe(0.3);
      registry.addHistogram(*metric, labels, {&cell});
    } else {
      registry.addGauge(*metric, labels, [] { return 12345678.5; });
    }
  }
}

TEST(Registry, SumsTheCellsOfAllShards) {
  Registry registry;
  Counter one;
  Counter two;
  one.add(3);
  two.add(4);
  registry.addCounter(names::kMessagesAccepted, {"apps"}, {&one, &two});
  const auto seen = readExposition(registry.exposition());
  EXPECT_THAT(seen.mistakes, IsEmpty());
  EXPECT_EQ(seen.at("sluice_messages_accepted_total{connector=\"apps\"}"), 7);
  EXPECT_EQ(seen.types.at("sluice_messages_accepted_total"), "counter");
}

TEST(Registry, AddsUpWhatIsRegisteredTwiceUnderTheSameLabels) {
  Registry registry;
  registry.addGauge(names::kSmtpConnections, {"in", "apps"}, [] { return 2.0; });
  registry.addGauge(names::kSmtpConnections, {"in", "apps"}, [] { return 5.0; });
  const auto seen = readExposition(registry.exposition());
  EXPECT_THAT(seen.mistakes, IsEmpty());
  EXPECT_EQ(seen.at("sluice_smtp_connections{direction=\"in\",connector=\"apps\"}"), 7);
}

TEST(Registry, ShowsGaugesThatAreZero) {
  Registry registry;
  Gauge held;
  registry.addGauge(names::kQueueRecipients, {"held"}, {&held});
  EXPECT_EQ(readExposition(registry.exposition()).at("sluice_queue_recipients{state=\"held\"}"), 0);
}

TEST(Registry, LeavesOutWhatNothingFeeds) {
  Registry registry;
  registry.addGauge(names::kQueueMessages, {}, [] { return 0.0; });
  registry.addCollector(names::kCertificateExpiry, [](const Emit&) {});
  const std::string text = registry.exposition();
  EXPECT_THAT(text, Not(HasSubstr("tls")));
  EXPECT_THAT(text, Not(HasSubstr("certificate")));
}

TEST(Registry, HistogramsAreCumulativeAndSummed) {
  Registry registry;
  Histogram one(kCommitMessages);
  Histogram two(kCommitMessages);
  one.observe(1);
  one.observe(3);
  two.observe(5000);
  registry.addHistogram(names::kCommitMessages, {}, {&one, &two});
  const auto seen = readExposition(registry.exposition());
  EXPECT_THAT(seen.mistakes, IsEmpty());
  EXPECT_EQ(seen.at("sluice_commit_messages_bucket{le=\"1\"}"), 1);
  EXPECT_EQ(seen.at("sluice_commit_messages_bucket{le=\"4\"}"), 2);
  EXPECT_EQ(seen.at("sluice_commit_messages_bucket{le=\"1024\"}"), 2);
  EXPECT_EQ(seen.at("sluice_commit_messages_bucket{le=\"+Inf\"}"), 3);
  EXPECT_EQ(seen.at("sluice_commit_messages_count"), 3);
  EXPECT_EQ(seen.at("sluice_commit_messages_sum"), 5004);
}

TEST(Registry, HostileLabelValuesCannotBreakTheFormat) {
  Registry registry;
  std::deque<Histogram> histograms;
  feedAll(registry, histograms);
  const std::string text = registry.exposition();
  const auto seen = readExposition(text);
  EXPECT_THAT(seen.mistakes, IsEmpty());
  EXPECT_EQ(seen.types.size(), std::size(kAllMetrics));
  EXPECT_THAT(text, Not(HasSubstr("\xff")));
  EXPECT_THAT(text, Not(HasSubstr("\x01")));
}

TEST(Registry, LongLabelValuesAreCutAtACharacter) {
  const std::string euros = [] {
    std::string text;
    for (int i = 0; i < 100; ++i) text += "\xe2\x82\xac";
    return text;
  }();
  EXPECT_EQ(cleanLabel(euros).size(), 255u);
  EXPECT_EQ(cleanLabel("ab" + euros).size(), 254u);
  EXPECT_EQ(cleanLabel("\xe2\x82"), "\xef\xbf\xbd\xef\xbf\xbd");
}

TEST(Registry, CardinalityStaysBoundedWhateverIsEmitted) {
  Registry registry;
  registry.addCollector(names::kMessagesRefused, [](const Emit& emit) {
    for (int i = 0; i < 50'000; ++i) emit({"apps", std::to_string(i)}, 1);
  });
  const auto seen = readExposition(registry.exposition());
  EXPECT_LE(seen.samples.size(), Registry::kMaxSeries + 1);
  double sum = 0;
  for (const auto& [series, value] : seen.samples) sum += value;
  EXPECT_EQ(sum, 50'000);
}

// A reload registers while it holds what a scrape waits for.
TEST(Registry, AReaderMayWaitForOneWhoRegisters) {
  Registry registry;
  registry.addGauge(names::kQueueMessages, {}, [&registry] {
    registry.addGauge(names::kMemory, {}, [] { return 1.0; });
    return 1.0;
  });
  registry.exposition();
  EXPECT_EQ(readExposition(registry.exposition()).at("sluice_memory_bytes"), 1);
}

TEST(Registry, PromtoolAcceptsTheExposition) {
  if (std::system("command -v promtool >/dev/null 2>&1") != 0) {
    GTEST_SKIP() << "promtool is not installed; the strict reader has checked the format";
  }
  Registry registry;
  std::deque<Histogram> histograms;
  feedAll(registry, histograms);
  FILE* tool = popen("promtool check metrics", "w");
  ASSERT_NE(tool, nullptr);
  const std::string text = registry.exposition();
  ASSERT_EQ(fwrite(text.data(), 1, text.size(), tool), text.size());
  EXPECT_EQ(pclose(tool), 0);
}

TEST(Names, EachIsDeclaredOnceAndSaysWhatItMeans) {
  std::set<std::string> seen;
  for (const Metric* metric : kAllMetrics) {
    const std::string name = metric->name;
    EXPECT_TRUE(seen.insert(name).second) << name;
    EXPECT_TRUE(name.starts_with("sluice_")) << name;
    EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string::npos) << name;
    EXPECT_EQ(name.ends_with("_total"), metric->type == Type::Counter) << name;
    EXPECT_NE(std::string(metric->help), "") << name;
    EXPECT_EQ(std::string(metric->help).find_first_of("\n\\"), std::string::npos) << name;
    EXPECT_NE(std::string(metric->worry), "") << name;
  }
}

// Cells of a row "| a | b | c |"; empty for any other line.
std::vector<std::string> cellsOf(const std::string& line) {
  std::vector<std::string> cells;
  if (!line.starts_with("| ")) return cells;
  for (size_t at = 2, end = 0; (end = line.find(" |", at)) != std::string::npos; at = end + 3) {
    cells.push_back(line.substr(at, end - at));
  }
  return cells;
}

// The page for operators lists exactly what names.h declares.
TEST(Names, DocumentationListsEveryMetricAndNoOther) {
  const std::string here = __FILE__;  // <root>/tests/unit/metrics/registry_test.cc
  std::ifstream page(here.substr(0, here.rfind("tests/unit/")) + "docs/metrics.md");
  ASSERT_TRUE(page.is_open());
  std::set<std::string> documented;
  for (std::string line; std::getline(page, line);) {
    const auto cells = cellsOf(line);
    if (cells.size() != 5 || !cells[0].starts_with("`sluice_")) continue;
    EXPECT_TRUE(documented.insert(cells[0] + " " + cells[1] + " " + cells[2]).second) << line;
  }
  std::set<std::string> declared;
  for (const Metric* metric : kAllMetrics) {
    const char* kinds[] = {"counter", "gauge", "histogram"};
    std::string labels;
    for (size_t i = 0; i < metric->labelCount(); ++i) {
      labels += (i == 0 ? "" : ", ") + std::string(metric->labels[i]);
    }
    if (labels.empty()) labels = "-";
    declared.insert("`" + std::string(metric->name) + "` " + kinds[static_cast<int>(metric->type)] +
                    " " + labels);
  }
  EXPECT_EQ(documented, declared);
}

TEST(Process, KnowsItsMemory) { EXPECT_GT(residentBytes(), 100'000u); }

}  // namespace
}  // namespace sluice::metrics
