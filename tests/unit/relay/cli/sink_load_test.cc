// The load generator against the sink, over the loopback: nothing lost, all of it counted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <thread>

#include "relay/cli/load_client.h"
#include "relay/cli/sink_server.h"

namespace sluice::relay {
namespace {

class SinkAndLoad : public testing::Test {
 protected:
  ~SinkAndLoad() override { stopSink(); }

  void startSink(std::initializer_list<const char*> rules = {}) {
    sink_options_.listen = {Endpoint::parse("127.0.0.1:0").value()};
    for (const char* rule : rules) sink_options_.rules.push_back(parseSinkRule(rule).value());
    sink_ = SinkServer::create(sink_options_, out_).value();
    load_options_.to = sink_->listening().at(0);
    thread_ = std::thread([this] { (void)sink_->run(false); });
  }
  nlohmann::json stopSink() {
    if (!thread_.joinable()) return {};
    sink_->stop();
    thread_.join();
    return sink_->tally().toJson();
  }
  LoadSummary load() {
    load_options_.message.run = "test";
    load_options_.retry_after = std::chrono::milliseconds(1);
    auto client = LoadClient::create(load_options_).value();
    EXPECT_TRUE(client->run(false));
    return client->summary();
  }

  SinkServerOptions sink_options_;
  LoadOptions load_options_;
  std::ostringstream out_;
  std::unique_ptr<SinkServer> sink_;
  std::thread thread_;
};

TEST_F(SinkAndLoad, DeliverEachMessageOnceUndamaged) {
  for (const bool chunking : {false, true}) {
    for (const bool pipelining : {false, true}) {
      sink_options_ = {};
      startSink();
      load_options_.messages = 300;
      load_options_.connections = 7;
      load_options_.message.recipients = 3;
      load_options_.message.domains = 5;
      load_options_.messages_per_connection = 20;
      load_options_.session = {"load.test", pipelining, chunking};
      const LoadSummary summary = load();
      EXPECT_EQ(summary.accepted, 300u);
      EXPECT_EQ(summary.accepted_recipients, 900u);
      EXPECT_TRUE(summary.allAccepted());
      EXPECT_EQ(summary.connection_errors, 0u);
      EXPECT_EQ(summary.latency.count(), 300u);
      const auto json = stopSink();
      EXPECT_EQ(json["messages"], 300);
      EXPECT_EQ(json["distinct"], 900);
      EXPECT_EQ(json["duplicates"], 0);
      EXPECT_EQ(json["damaged"], 0);
      EXPECT_EQ(json["violations"], 0) << json;
    }
  }
}

TEST_F(SinkAndLoad, CarryLargeMessages) {
  startSink();
  load_options_.messages = 5;
  load_options_.connections = 2;
  load_options_.message.size = 3'000'000;
  EXPECT_EQ(load().accepted, 5u);
  const auto json = stopSink();
  EXPECT_EQ(json["damaged"], 0);
  EXPECT_GE(json["bytes"], 15'000'000);
}

TEST_F(SinkAndLoad, TryAgainWhatIsRefusedForTheMoment) {
  startSink({"*,eod,451,30", "*,rcpt,450,30"});
  load_options_.messages = 100;
  const LoadSummary summary = load();
  EXPECT_EQ(summary.accepted, 100u);
  EXPECT_GT(summary.temporary_refusals, 0u);
  EXPECT_EQ(stopSink()["distinct"], 100);
}

TEST_F(SinkAndLoad, CountWhatIsRefusedForGood) {
  startSink({"d1.*,rcpt,550"});
  load_options_.messages = 100;
  load_options_.message.domains = 4;
  const LoadSummary summary = load();
  EXPECT_EQ(summary.accepted, 75u);
  EXPECT_EQ(summary.refused, 25u);
  EXPECT_EQ(summary.replies.at(550), 25u);
}

TEST_F(SinkAndLoad, NeverRepeatWhatMayHaveBeenAccepted) {
  startSink({"*,eod,close,20"});
  load_options_.messages = 200;
  const LoadSummary summary = load();
  EXPECT_EQ(summary.accepted + summary.unknown, 200u);
  EXPECT_GT(summary.unknown, 0u);
  EXPECT_EQ(stopSink()["duplicates"], 0);
}

TEST_F(SinkAndLoad, TryAgainWhatWasCutOffBeforeItsEnd) {
  startSink({"*,rcpt,reset,10", "*,mail,close,10", "*,connect,close,10", "*,data,close,10"});
  load_options_.messages = 200;
  const LoadSummary summary = load();
  EXPECT_EQ(summary.accepted, 200u);
  EXPECT_GT(summary.connection_errors, 0u);
  EXPECT_EQ(stopSink()["duplicates"], 0);
}

TEST_F(SinkAndLoad, KeepTheRateOfAnOpenLoop) {
  startSink();
  load_options_.messages = 50;
  load_options_.rate = 500;
  const LoadSummary summary = load();
  EXPECT_EQ(summary.accepted, 50u);
  EXPECT_GE(summary.seconds, 0.097);
}

TEST_F(SinkAndLoad, StopAfterTheDuration) {
  startSink();
  load_options_.messages = 0;
  load_options_.duration = std::chrono::milliseconds(50);
  const LoadSummary summary = load();
  EXPECT_GT(summary.accepted, 0u);
  EXPECT_TRUE(summary.allAccepted());
  EXPECT_EQ(stopSink()["messages"], summary.accepted);
}

TEST_F(SinkAndLoad, GiveUpOnADestinationThatHangs) {
  startSink({"*,eod,hang"});
  load_options_.messages = 10;
  load_options_.connections = 3;
  load_options_.give_up = std::chrono::milliseconds(50);
  const LoadSummary summary = load();
  EXPECT_EQ(summary.accepted, 0u);
  EXPECT_EQ(summary.unknown, 3u);
  EXPECT_EQ(summary.unsent, 7u);
}

TEST_F(SinkAndLoad, HoldRepliesBackForAsLongAsTold) {
  startSink({"*,eod,250,100,30"});
  load_options_.messages = 10;
  load_options_.connections = 5;
  const LoadSummary summary = load();
  EXPECT_EQ(summary.accepted, 10u);
  EXPECT_GE(summary.commit.percentileNs(1), 30'000'000u * 97 / 100);
}

TEST_F(SinkAndLoad, SayThatAnAddressIsTaken) {
  startSink();
  SinkServerOptions second;
  second.listen = sink_->listening();
  const auto server = SinkServer::create(second, out_);
  ASSERT_FALSE(server);
  EXPECT_EQ(server.error().code, Errc::Exists);
}

}  // namespace
}  // namespace sluice::relay
