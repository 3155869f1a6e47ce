#include "relay/admin/survey.h"

#include <gmock/gmock.h>

namespace sluice::relay {
namespace {

using queue::KeyStatus;
using std::chrono::seconds;

WallTime at(int64_t second) { return WallTime(seconds(second)); }

DestinationStatus destination(const std::string& name, std::vector<queue::QueueKey> keys,
                              const std::string& state = "idle") {
  return {.destination = name, .connector = "internet", .keys = std::move(keys), .state = state};
}

QueueStatus only(const std::vector<QueueStatus>& queues) {
  EXPECT_EQ(queues.size(), 1u);
  return queues.empty() ? QueueStatus() : queues.front();
}

TEST(Survey, ShardsAndKeysOfOneDestinationAreSummed) {
  ShardSurvey one{{KeyStatus{.key = "a.test", .ready = 1, .deferred = 2, .oldest = at(50)}},
                  {destination("mx.test", {"a.test"})},
                  {}};
  ShardSurvey two{{KeyStatus{.key = "a.test", .active = 3, .oldest = at(40)},
                   KeyStatus{.key = "b.test", .held = 4}},
                  {destination("mx.test", {"a.test", "b.test"}, "delivering")},
                  {}};
  one.destinations[0].connections = 1;
  two.destinations[0].connections = 2;
  two.destinations[0].last_reply = "250 ok";
  two.destinations[0].max_connections = 20;
  two.destinations[0].rate = "5/s";
  const QueueStatus queue = only(mergeSurveys({one, two}));
  EXPECT_EQ(queue.destination.max_connections, 20u);
  EXPECT_EQ(queue.destination.rate, "5/s");
  EXPECT_EQ(queue.destination.destination, "mx.test");
  EXPECT_EQ(queue.ready, 1u);
  EXPECT_EQ(queue.active, 3u);
  EXPECT_EQ(queue.deferred, 2u);
  EXPECT_EQ(queue.held, 4u);
  EXPECT_EQ(queue.oldest, at(40));
  EXPECT_EQ(queue.destination.connections, 3u);
  EXPECT_EQ(queue.destination.state, "delivering");
  EXPECT_EQ(queue.destination.last_reply, "250 ok");
  EXPECT_EQ(queue.destination.keys.size(), 2u);
}

TEST(Survey, WhatWaitsForAHostToRestCountsAsDeferredUntilThen) {
  ShardSurvey shard{{KeyStatus{.key = "a.test", .ready = 5, .deferred = 1, .next_due = at(10)}},
                    {destination("a.test", {"a.test"}, "resting")},
                    {}};
  shard.destinations[0].next_attempt = at(99);
  const QueueStatus queue = only(mergeSurveys({shard}));
  EXPECT_EQ(queue.ready, 0u);
  EXPECT_EQ(queue.deferred, 6u);
  EXPECT_EQ(queue.destination.next_attempt, at(99));
}

TEST(Survey, NextAttemptIsTheEarliestDue) {
  const ShardSurvey one{{KeyStatus{.key = "a.test", .deferred = 1, .next_due = at(30)}},
                        {destination("a.test", {"a.test"})},
                        {}};
  const ShardSurvey two{{KeyStatus{.key = "a.test", .deferred = 1, .next_due = at(20)}},
                        {destination("a.test", {"a.test"})},
                        {}};
  EXPECT_EQ(only(mergeSurveys({one, two})).destination.next_attempt, at(20));
}

TEST(Survey, ARecipientOfARestingDestinationShowsItsReason) {
  DestinationStatus resting = destination("a.test", {"a.test"}, "resting");
  resting.why.cause = "hosts_rest";
  resting.why.text = "mx.a.test refuses connections";
  resting.next_attempt = at(99);
  queue::RecipientStatus status;
  status.state = queue::RecipientState::Ready;
  const auto shown = showRecipient(status, resting);
  EXPECT_EQ(shown.status.state, queue::RecipientState::Deferred);
  EXPECT_EQ(shown.status.next_attempt, at(99));
  EXPECT_EQ(shown.status.attempts.last_reply, "mx.a.test refuses connections");
  status.state = queue::RecipientState::Held;
  EXPECT_EQ(showRecipient(status, resting).status.state, queue::RecipientState::Held);
}

}  // namespace
}  // namespace sluice::relay
