#include "relay/deliver/mta_sts_files.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

namespace sluice::relay {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

struct MtaStsFilesTest : testing::Test {
  MtaStsFilesTest() {
    std::string name = (fs::temp_directory_path() / "mta-sts-XXXXXX").string();
    base = ::mkdtemp(name.data());
  }
  ~MtaStsFilesTest() override { fs::remove_all(base); }
  std::string directory() const { return base + "/mta-sts"; }
  StoredPolicy made(const std::string& domain, const std::string& mode = "enforce") {
    return {domain, "id1", WallTime(std::chrono::seconds(1'700'000'000)),
            *parseMtaStsPolicy("version: STSv1\nmode: " + mode + "\nmx: *.a.test\nmax_age: 60\n")};
  }
  void put(const std::string& name, const std::string& text) {
    std::ofstream(directory() + "/" + name) << text;
  }
  std::string base;
};

TEST_F(MtaStsFilesTest, PoliciesComeBack) {
  MtaStsFiles files(directory());
  EXPECT_TRUE(files.load(10).empty());
  ASSERT_TRUE(files.save(made("a.test", "testing")));
  ASSERT_TRUE(files.save(made("a.test")));
  const auto all = MtaStsFiles(directory()).load(10);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].domain, "a.test");
  EXPECT_EQ(all[0].id, "id1");
  EXPECT_EQ(all[0].fetched_at, made("a.test").fetched_at);
  EXPECT_EQ(all[0].policy.mode, DomainTlsPolicy::Mode::Enforce);
  EXPECT_THAT(all[0].policy.mx, ElementsAre("*.a.test"));
  files.remove("a.test");
  EXPECT_TRUE(files.load(10).empty());
}

TEST_F(MtaStsFilesTest, WhatCannotBeUnderstoodIsRemoved) {
  MtaStsFiles files(directory());
  files.load(10);
  ASSERT_TRUE(files.save(made("good.test")));
  put("empty.test", "");
  put("other.test", "sluice mta-sts 2\nid\n1\nversion: STSv1\nmode: none\nmax_age: 1\n");
  put("torn.test", "sluice mta-sts 1\nid1\n1700000000\nversion: STSv1\nmode: enf");
  put("huge.test", "sluice mta-sts 1\nid1\n1700000000\n" + std::string(100'000, 'x'));
  put(".new", "sluice mta-sts 1\n");
  put("not a name", "sluice mta-sts 1\n");
  EXPECT_EQ(files.load(10).size(), 1u);
  size_t left = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(directory())) ++left;
  EXPECT_EQ(left, 1u);
}

TEST_F(MtaStsFilesTest, ThereIsAnEndToThem) {
  MtaStsFiles files(directory());
  files.load(10);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(files.save(made("d" + std::to_string(i) + ".test")));
  EXPECT_EQ(files.load(3).size(), 3u);
  EXPECT_EQ(files.load(10).size(), 3u);
}

TEST_F(MtaStsFilesTest, AFullOrMissingDirectoryIsAnError) {
  EXPECT_FALSE(MtaStsFiles(base + "/missing").save(made("a.test")));
}

}  // namespace
}  // namespace sluice::relay
