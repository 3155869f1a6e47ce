#include "relay/admin/live_feed.h"

#include <gmock/gmock.h>

#include <atomic>
#include <thread>

namespace sluice::relay {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class LiveFeedTest : public ::testing::Test {
 protected:
  std::atomic<int> made_{0};
  LiveFeed feed_{[this] { return "{\"sample\":" + std::to_string(++made_) + "}"; }, 5ms};
};

TEST_F(LiveFeedTest, AStreamIsOneEventASample) {
  const auto stream = feed_.stream(2);
  EXPECT_EQ(stream.content_type, "text/event-stream");
  EXPECT_EQ(stream.more(), "event: sample\ndata: {\"sample\":1}\n\n");
  EXPECT_EQ(stream.more(), "event: sample\ndata: {\"sample\":2}\n\n");
  EXPECT_FALSE(stream.more());
}

TEST_F(LiveFeedTest, AllWhoWatchShareEachSample) {
  LiveFeed feed([this] { return std::to_string(++made_); }, 1h);
  EXPECT_THAT(feed.stream(1).more().value_or(""), HasSubstr("data: 1\n"));
  EXPECT_THAT(feed.stream(1).more().value_or(""), HasSubstr("data: 1\n"));
  EXPECT_EQ(made_, 1);
}

TEST_F(LiveFeedTest, OnlySoManyWatchAtATimeAndOthersMayLook) {
  std::vector<net::HttpResponse> streams;
  for (size_t i = 0; i < LiveFeed::kMaxStreams; ++i) {
    streams.push_back(feed_.stream(LiveFeed::kUnbounded));
    EXPECT_EQ(streams.back().status, 200);
  }
  EXPECT_EQ(feed_.stream(LiveFeed::kUnbounded).status, 503);
  EXPECT_EQ(feed_.stream(1).status, 200);
  streams.pop_back();
  EXPECT_EQ(feed_.stream(LiveFeed::kUnbounded).status, 200);
}

TEST_F(LiveFeedTest, StoppingWakesThoseWhoWait) {
  LiveFeed feed([] { return std::string("1"); }, 1h);
  const auto stream = feed.stream(LiveFeed::kUnbounded);
  EXPECT_TRUE(stream.more());
  std::thread stopper([&] { feed.stop(); });
  EXPECT_FALSE(stream.more());
  stopper.join();
  EXPECT_EQ(feed.stream(1).status, 503);
}

}  // namespace
}  // namespace sluice::relay
