#include "relay/admin/queue_gauges.h"

#include <gmock/gmock.h>

#include "metrics/registry.h"
#include "tests/unit/metrics/text_format.h"
#include "tests/unit/relay/admin/fake_control.h"

namespace sluice::relay {
namespace {

TEST(QueueGauges, QueueAndDestinationsAgree) {
  FakeControl control;
  control.queue_list = {{.destination = {.destination = "a.test", .connections = 3},
                         .ready = 1,
                         .deferred = 5,
                         .oldest = Clock::system().wall() - std::chrono::hours(1)},
                        {.destination = {.destination = "b.test"}, .active = 2, .held = 4}};
  control.queue_list[0].destination.results[0] = 9;
  const QueueGauges gauges(control, 1);
  metrics::Registry registry;
  registry.addCollectable(gauges);
  const auto seen = metrics::readExposition(registry.exposition());
  EXPECT_THAT(seen.mistakes, ::testing::IsEmpty());
  EXPECT_EQ(seen.at("sluice_queue_recipients{state=\"ready\"}"), 1);
  EXPECT_EQ(seen.at("sluice_queue_recipients{state=\"active\"}"), 2);
  EXPECT_EQ(seen.at("sluice_queue_recipients{state=\"deferred\"}"), 5);
  EXPECT_EQ(seen.at("sluice_queue_recipients{state=\"held\"}"), 4);
  EXPECT_EQ(seen.at("sluice_destination_connections{destination=\"a.test\"}"), 3);
  EXPECT_EQ(seen.at("sluice_destination_recipients{destination=\"other\",state=\"held\"}"), 4);
  EXPECT_EQ(
      seen.at("sluice_destination_deliveries_total{destination=\"a.test\",result=\"delivered\"}"),
      9);
  EXPECT_NEAR(seen.at("sluice_destination_oldest_seconds{destination=\"a.test\"}"), 3600, 60);
}

TEST(QueueGauges, AnEmptyQueueIsZeroAndAnUnknownOneIsNothing) {
  FakeControl control;
  const QueueGauges gauges(control, 1);
  metrics::Registry registry;
  registry.addCollectable(gauges);
  EXPECT_EQ(
      metrics::readExposition(registry.exposition()).at("sluice_queue_recipients{state=\"ready\"}"),
      0);
  control.error = Error{Errc::Timeout, "a shard did not answer in time"};
  EXPECT_EQ(registry.exposition(), "");
}

}  // namespace
}  // namespace sluice::relay
