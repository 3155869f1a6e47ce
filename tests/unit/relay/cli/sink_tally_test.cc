// What the sink counts, and what it writes down.
#include "relay/cli/sink_tally.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "relay/cli/load_message.h"
#include "relay/cli/sink_recorder.h"

namespace sluice::relay {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

class SinkTallyTest : public testing::Test {
 protected:
  SinkTallyTest() {
    LoadMessageOptions options;
    options.run = "r1";
    maker_.emplace(LoadMaker::create(options, WallTime{}).value());
  }
  std::string content(uint64_t seq, uint64_t sent_ns = 0) const {
    std::string out;
    maker_->appendHeader(out, seq, sent_ns);
    return "Received: by relay\r\n" + out + maker_->body();
  }
  SinkMessage message(std::string_view bytes) const {
    return {"192.0.2.9", "c.test", "a@x.test", "", recipients_, bytes, false};
  }

  std::optional<LoadMaker> maker_;
  std::vector<SinkRecipient> recipients_{{"b@y.test", ""}, {"c@y.test", ""}};
  SinkTally tally_;
};

TEST_F(SinkTallyTest, FindsRepeatedMessagesByIdAndRecipient) {
  const std::string first = content(1);
  const std::string second = content(2);
  EXPECT_EQ(tally_.onMessage(message(first), 1).duplicates, 0u);
  EXPECT_EQ(tally_.onMessage(message(second), 1).duplicates, 0u);
  EXPECT_EQ(tally_.onMessage(message(first), 1).duplicates, 2u);
  recipients_.push_back({"d@y.test", ""});
  const SinkIdentity again = tally_.onMessage(message(second), 1);
  EXPECT_EQ(again.id, "r1.2");
  EXPECT_EQ(again.duplicates, 2u);
  const auto json = tally_.toJson();
  EXPECT_EQ(json["messages"], 4);
  EXPECT_EQ(json["recipients"], 9);
  EXPECT_EQ(json["distinct"], 5);
  EXPECT_EQ(json["duplicates"], 4);
  EXPECT_EQ(json["damaged"], 0);
}

TEST_F(SinkTallyTest, FindsDamage) {
  std::string cut = content(1);
  cut.resize(cut.size() - 3);
  EXPECT_TRUE(tally_.onMessage(message(cut), 1).damaged);
  std::string changed = content(2);
  changed[changed.size() - 10] ^= 1;
  EXPECT_TRUE(tally_.onMessage(message(changed), 1).damaged);
}

TEST_F(SinkTallyTest, KnowsOtherMessagesByTheirMessageId) {
  const std::string other = "Message-ID: <1@x.test>\r\n\r\nhello\r\n";
  EXPECT_EQ(tally_.onMessage(message(other), 1).id, "<1@x.test>");
  EXPECT_EQ(tally_.onMessage(message(other), 1).duplicates, 2u);
  EXPECT_EQ(tally_.onMessage(message("\r\nnothing\r\n"), 1).id, "-");
  EXPECT_EQ(tally_.onMessage(message("X: y\r\n\r\nX-Sluice-Load-Id: r1.1\r\n"), 1).id, "-");
  EXPECT_EQ(tally_.toJson()["untagged"], 4);
}

TEST_F(SinkTallyTest, MeasuresTheWayFromTheGenerator) {
  tally_.onMessage(message(content(1, 1'000'000)), 3'000'000);
  EXPECT_EQ(tally_.toJson()["end_to_end"]["max_ms"], 2.0);
}

TEST(HashSet, KeepsAMillionApart) {
  HashSet set;
  for (uint64_t i = 0; i < 1'000'000; ++i) ASSERT_TRUE(set.insert(i * 0x9e3779b97f4a7c15u));
  for (uint64_t i = 0; i < 1'000'000; i += 999) {
    ASSERT_FALSE(set.insert(i * 0x9e3779b97f4a7c15u));
  }
  EXPECT_EQ(set.size(), 1'000'000u);
}

class SinkRecorderTest : public SinkTallyTest {
 protected:
  SinkRecorderTest() : folder_(fs::path(testing::TempDir()) / "sink_recorder") {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~SinkRecorderTest() override { fs::remove_all(folder_); }
  static std::string read(const fs::path& path) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  fs::path folder_;
};

TEST_F(SinkRecorderTest, WritesTheMessageItsEnvelopeAndItsIds) {
  std::ostringstream out;
  auto recorder = SinkRecorder::create(
                      {(folder_ / "mail").string(), (folder_ / "ids").string(), true}, tally_, out)
                      .value();
  const std::string bytes = content(7);
  ASSERT_TRUE(recorder->keep(message(bytes)));
  ASSERT_TRUE(recorder->flush());
  EXPECT_EQ(read(folder_ / "ids"), "r1.7 b@y.test\nr1.7 c@y.test\n");
  EXPECT_EQ(nlohmann::json::parse(out.str())["id"], "r1.7");
  size_t files = 0;
  for (const auto& entry : fs::directory_iterator(folder_ / "mail")) {
    ++files;
    if (entry.path().extension() == ".eml") {
      EXPECT_EQ(read(entry.path()), bytes);
      const auto json =
          nlohmann::json::parse(read(fs::path(entry.path()).replace_extension(".json")));
      EXPECT_EQ(json["sender"], "a@x.test");
      EXPECT_EQ(json["recipients"][1]["recipient"], "c@y.test");
    }
  }
  EXPECT_EQ(files, 2u);
}

TEST_F(SinkRecorderTest, WritesDownWhatAFailureReportIsAbout) {
  std::ostringstream out;
  auto recorder =
      SinkRecorder::create({"", (folder_ / "ids").string(), false}, tally_, out).value();
  const std::string report =
      "Message-ID: <dsn@y.test>\r\nContent-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\n"
      "sorry\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; "
      "y\r\n\r\n"
      "Final-Recipient: rfc822; b@y.test\r\nAction: failed\r\n\r\n"
      "Final-Recipient: rfc822; d@y.test\r\nAction: delayed\r\n\r\n--b\r\n\r\n"
      "X-Sluice-Load-Id: r1.8\r\n\r\n--b--\r\n";
  SinkMessage sent = message(report);
  recipients_.resize(1);
  recipients_[0].path = "a@x.test";
  sent.recipients = recipients_;
  sent.sender = "";
  ASSERT_TRUE(recorder->keep(sent));
  sent.sender = "forger@x.test";
  ASSERT_TRUE(recorder->keep(sent));
  ASSERT_TRUE(recorder->flush());
  EXPECT_EQ(read(folder_ / "ids"),
            "<dsn@y.test> a@x.test\nr1.8 b@y.test failed\n<dsn@y.test> a@x.test\n");
  EXPECT_EQ(tally_.toJson()["reports"], 1);
}

TEST_F(SinkRecorderTest, TakesNothingThatItCannotWrite) {
  std::ostringstream out;
  auto recorder =
      SinkRecorder::create({(folder_ / "mail").string(), "", false}, tally_, out).value();
  fs::remove_all(folder_);
  EXPECT_FALSE(recorder->keep(message(content(1))));
}

TEST_F(SinkRecorderTest, WritesHostileBytesAsOneJsonLine) {
  std::ostringstream out;
  auto recorder = SinkRecorder::create({"", "", true}, tally_, out).value();
  recipients_[0].path = "x\xff\n\x1b@y.test";
  ASSERT_TRUE(recorder->keep(message("A: b\r\n\r\n")));
  EXPECT_EQ(out.str().find('\n'), out.str().size() - 1);
  EXPECT_TRUE(nlohmann::json::accept(out.str()));
}

TEST_F(SinkRecorderTest, SaysWhichFileItCannotOpen) {
  std::ostringstream out;
  const auto recorder = SinkRecorder::create({"", "/no/such/folder/ids", false}, tally_, out);
  ASSERT_FALSE(recorder);
  EXPECT_THAT(recorder.error().detail, HasSubstr("/no/such/folder/ids"));
}

}  // namespace
}  // namespace sluice::relay
