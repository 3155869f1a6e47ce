// docs/configuration.md says of every key what the reader knows, and of no other.
#include <fstream>
#include <sstream>
#include <vector>

#include "relay/config/build_version.h"
#include "relay/config/config_keys.h"
#include "tests/unit/relay/config/config_scene.h"

namespace sluice::relay {
namespace {

using testing::ElementsAreArray;
using testing::HasSubstr;

std::string readSource(const std::string& path) {
  const std::string here = __FILE__;
  std::ifstream file(here.substr(0, here.rfind("tests/unit/")) + path);
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_FALSE(text.str().empty()) << path;
  return text.str();
}

struct Row {
  std::string key;
  std::string type;
  std::string default_value;
  std::string applies;
  std::string example;
};

std::vector<std::string> cellsOf(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream in(line.substr(1));
  for (std::string cell; std::getline(in, cell, '|');) {
    const size_t first = cell.find_first_not_of(' ');
    const size_t last = cell.find_last_not_of(' ');
    cells.push_back(first == std::string::npos ? "" : cell.substr(first, last - first + 1));
  }
  return cells;
}

std::string withoutTicks(const std::string& cell) {
  const bool ticks = cell.size() >= 2 && cell.front() == '`' && cell.back() == '`';
  return ticks ? cell.substr(1, cell.size() - 2) : cell;
}

// The rows "| `key` | type | default | applies | meaning | example |" of one chapter.
std::vector<Row> rowsOf(const std::string& chapter) {
  std::istringstream doc(readSource("docs/configuration.md"));
  std::vector<Row> rows;
  bool inside = false;
  for (std::string line; std::getline(doc, line);) {
    if (line.starts_with("## ")) inside = line == "## " + chapter;
    if (!inside || !line.starts_with("| `")) continue;
    const auto cells = cellsOf(line);
    EXPECT_EQ(cells.size(), 6u) << line;
    if (cells.size() != 6) continue;
    rows.push_back({withoutTicks(cells[0]), cells[1], cells[2], cells[3], withoutTicks(cells[5])});
  }
  return rows;
}

template <class T>
std::string defaultOf(const Key<T>& key, const T& defaults) {
  if (!key.default_words.empty()) return std::string(key.default_words);
  const std::string value = key.print(defaults);
  return value.empty() ? "the connector's" : "`" + value + "`";
}

template <class T>
void expectRows(const std::string& chapter, const Keys<T>& keys, const T& defaults) {
  std::vector<std::string> expected, documented;
  for (const Key<T>& key : keys) {
    expected.push_back(std::string(key.name) + " | " + std::string(key.type) + " | " +
                       defaultOf(key, defaults) + " | " +
                       (key.apply == Apply::Reload ? "reload" : "restart"));
  }
  for (const Row& row : rowsOf(chapter)) {
    documented.push_back(row.key + " | " + row.type + " | " + row.default_value + " | " +
                         row.applies);
  }
  EXPECT_THAT(documented, ElementsAreArray(expected)) << chapter;
}

// Examples of files are not there; every other must be a value that is taken.
template <class T>
void expectExamples(const std::string& chapter, const Keys<T>& keys, const T& defaults) {
  const Surroundings scene = sceneWith();
  for (const Row& row : rowsOf(chapter)) {
    if (row.type.starts_with("file")) continue;
    Mistakes mistakes("example");
    const auto root = parseDocument(row.key + " = " + row.example, scene, mistakes);
    T section = defaults;
    Reading reading{scene, mistakes, chapter, ""};
    if (root) readKeys(keys, {}, *root, section, reading);
    std::string all;
    for (const auto& mistake : mistakes.take()) all += mistake.toString();
    EXPECT_EQ(all, "") << chapter << " " << row.key << " = " << row.example;
  }
}

template <class T>
void expectChapter(const std::string& chapter, const Keys<T>& keys, const T& defaults) {
  expectRows(chapter, keys, defaults);
  expectExamples(chapter, keys, defaults);
}

TEST(ConfigurationDocs, DescribeEveryKeyWithItsDefaultAndNoOther) {
  const Config defaults = parseConfig("", "empty", sceneWith()).config;
  expectChapter("The relay itself", topKeys(), defaults);
  expectChapter("[dns]", dnsKeys(), defaults);
  expectChapter("[[receive]]", receiveKeys(), defaults.receive[0]);
  expectChapter("[[send]]", sendKeys(), defaults.send[0]);
  expectChapter("[[destination]]", destinationKeys(), DestinationConfig{});
  expectChapter("[[dkim]]", dkimKeys(), DkimConfig{});
  expectChapter("[queue]", queueKeys(), defaults);
  expectChapter("[tracking]", trackingKeys(), defaults);
  expectChapter("[tls_report]", tlsReportKeys(), defaults);
  expectChapter("[admin]", adminKeys(), defaults);
  expectChapter("[log]", logKeys(), defaults);
  expectChapter("[process]", processKeys(), defaults);
}

TEST(ExampleConfiguration, IsReadWithoutMistakesByThisVersion) {
  const auto loaded = parseConfig(readSource("deploy/sluice.example.toml"), "example", sceneWith());
  EXPECT_EQ(allMistakes(loaded), "");
}

TEST(BuildVersion, IsTheOneOfTheBuildFile) {
  EXPECT_THAT(readSource("CMakeLists.txt"),
              HasSubstr("project(sluice VERSION " + std::string(sluiceVersion()) + " "));
}

}  // namespace
}  // namespace sluice::relay
