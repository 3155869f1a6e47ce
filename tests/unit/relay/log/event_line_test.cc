#include "relay/log/event_line.h"

#include <gmock/gmock.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

namespace sluice::relay {
namespace {

using nlohmann::json;

constexpr std::string_view kTime = "2026-11-24T08:21:32.123456Z";

std::string escaped(std::string_view value) {
  std::string out;
  appendEscaped(out, value);
  return out;
}

std::string lineOf(const LogEvent& event, bool as_json = true) {
  std::string out;
  appendEventLine(out, as_json, kTime, event);
  return out;
}

// What every line must keep, whatever is in it.
void expectOneCleanLine(const std::string& line) {
  ASSERT_FALSE(line.empty());
  EXPECT_EQ(line.back(), '\n');
  for (size_t i = 0; i + 1 < line.size(); ++i) {
    const auto byte = static_cast<unsigned char>(line[i]);
    EXPECT_TRUE(byte >= 0x20 && byte != 0x7f) << int{byte} << " at " << i;
  }
  EXPECT_EQ(line.find("\xe2\x80\xa8"), std::string::npos);
  EXPECT_EQ(line.find("\xc2\x85"), std::string::npos);
}

TEST(EventLine, MessageEventHasItsFieldsInOrder) {
  MessageEvent event{.event = "delivered",
                     .id = "06a1",
                     .sender = "a@example.com",
                     .recipient = "b@example.net",
                     .size = 1234,
                     .connector = "internet",
                     .destination = "example.net",
                     .mx = "mx.example.net",
                     .address = "[192.0.2.1]:25",
                     .tls = "TLSv1.3",
                     .code = 250,
                     .status = "2.0.0",
                     .reply = "ok",
                     .attempts = 1,
                     .delay_s = 0.25};
  std::string line;
  appendMessageLine(line, true, kTime, event);
  EXPECT_EQ(
      line,
      R"({"time":"2026-11-24T08:21:32.123456Z","level":"info","event":"delivered","id":"06a1",)"
      R"("sender":"a@example.com","recipient":"b@example.net","size":1234,)"
      R"("connector":"internet","destination":"example.net","mx":"mx.example.net",)"
      R"("address":"[192.0.2.1]:25","tls":"TLSv1.3","code":250,"status":"2.0.0",)"
      R"("reply":"ok","attempts":1,"delay_s":0.250000})"
      "\n");
  EXPECT_NO_THROW(json::parse(line));
}

TEST(EventLine, EmptyFieldsAreLeftOut) {
  std::string line;
  appendMessageLine(line, true, kTime, MessageEvent{.event = "refused", .code = 550});
  EXPECT_EQ(json::parse(line).size(), 4u);  // time level event code
}

TEST(EventLine, KeepsTheTypesOfValues) {
  const LogEvent event{LogLevel::Warn,
                       "x",
                       {{"text", "1"},
                        {"count", int64_t{-5}},
                        {"ratio", 0.5},
                        {"yes", true},
                        {"odd", std::nan("")}}};
  const json read = json::parse(lineOf(event));
  EXPECT_EQ(read["level"], "warn");
  EXPECT_EQ(read["text"], "1");
  EXPECT_EQ(read["count"], -5);
  EXPECT_EQ(read["ratio"], 0.5);
  EXPECT_EQ(read["yes"], true);
  EXPECT_TRUE(read["odd"].is_null());
}

TEST(EventLine, ForgedLinesStayInsideTheirField) {
  const std::string forged =
      "x\"}\r\n{\"time\":\"2026-01-01T00:00:00Z\",\"event\":\"delivered\"}\n\\\"\x1b[2J\x7f" +
      std::string(1, '\0');
  for (const bool as_json : {true, false}) {
    const std::string line = lineOf({LogLevel::Info, forged, {{forged, forged}}}, as_json);
    expectOneCleanLine(line);
    if (!as_json) continue;
    const json read = json::parse(line);
    EXPECT_EQ(read["event"], forged);
    EXPECT_EQ(read[forged], forged);
  }
}

TEST(EventLine, CharactersThatMisleadAReaderAreEscaped) {
  EXPECT_EQ(escaped("a\xe2\x80\xa8z"), "a\\u2028z");  // line separator
  EXPECT_EQ(escaped("a\xe2\x80\xa9z"), "a\\u2029z");
  EXPECT_EQ(escaped("a\xc2\x85z"), "a\\u0085z");      // NEL, a C1 control
  EXPECT_EQ(escaped("a\xc2\x9bz"), "a\\u009bz");      // CSI
  EXPECT_EQ(escaped("a\xe2\x80\xaez"), "a\\u202ez");  // right-to-left override
  EXPECT_EQ(escaped("caf\xc3\xa9 \xf0\x9f\x93\xac"), "caf\xc3\xa9 \xf0\x9f\x93\xac");
}

TEST(EventLine, BytesThatAreNoUtf8AreReplaced) {
  const std::string replacement = "\xef\xbf\xbd";
  EXPECT_EQ(escaped("a\xffz"), "a" + replacement + "z");
  EXPECT_EQ(escaped("\xc0\xaf"), replacement + replacement);                    // overlong
  EXPECT_EQ(escaped("\xed\xa0\x80"), replacement + replacement + replacement);  // surrogate
  EXPECT_EQ(escaped("\xf4\x90\x80\x80").substr(0, 3), replacement);             // beyond U+10FFFF
  EXPECT_EQ(escaped("\xe2\x82"), replacement + replacement);  // cut off at the end
}

TEST(EventLine, LongValuesAreCutAtACharacter) {
  std::string value;
  while (value.size() < 100'000) value += "\xe2\x82\xac";
  const json read = json::parse(lineOf({LogLevel::Info, "x", {{"reply", value}}}));
  const auto text = read["reply"].get<std::string>();
  EXPECT_LE(text.size(), EventLine::kMaxValueBytes + 3);
  EXPECT_TRUE(text.ends_with("\xac\xe2\x80\xa6"));
}

TEST(EventLine, TextFormatQuotesWhatIsNoPlainWord) {
  EXPECT_EQ(lineOf({LogLevel::Error, "store_failed", {{"path", "/var/lib/x"}, {"why", "no space"}}},
                   false),
            "2026-11-24T08:21:32.123456Z error store_failed path=/var/lib/x why=\"no space\"\n");
  EXPECT_EQ(lineOf({LogLevel::Info, "x", {{"a", "b=c"}, {"empty", ""}}}, false),
            "2026-11-24T08:21:32.123456Z info x a=\"b=c\" empty=\"\"\n");
}

TEST(EventLine, RandomBytesAlwaysMakeOneLineOfJson) {
  const auto seed = std::random_device()();
  std::mt19937 random(seed);
  for (int round = 0; round < 2000; ++round) {
    std::string value(random() % 40, '\0');
    for (char& c : value) {
      constexpr std::string_view kEvil = "\r\n\"\\\x1b\x7f\xe2\x80\xa8\xc2\x85\xed\xa0\xf0";
      c = random() % 2 != 0 ? kEvil[random() % kEvil.size()] : static_cast<char>(random());
    }
    const std::string line = lineOf({LogLevel::Info, "x", {{"v", value}}});
    expectOneCleanLine(line);
    ASSERT_NO_THROW(json::parse(line)) << "seed " << seed;
    expectOneCleanLine(lineOf({LogLevel::Info, "x", {{"v", value}}}, false));
  }
}

TEST(TimeText, FollowsTheClockWithinAndOverSeconds) {
  TimeText text;
  for (const int64_t us : {1'764'000'000'000'000, 1'764'000'000'999'999, 1'764'000'000'000'007,
                           1'764'000'001'123'456, int64_t{0}, int64_t{-1}}) {
    const WallTime time{std::chrono::microseconds(us)};
    EXPECT_EQ(text.of(time), formatRfc3339(time));
  }
}

}  // namespace
}  // namespace sluice::relay
