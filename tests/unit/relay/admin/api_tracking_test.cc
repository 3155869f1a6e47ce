// What tracked messages look like to who asks for them.
#include "relay/admin/api_tracking.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/unit/relay/admin/fake_control.h"

namespace sluice::relay {
namespace {

using nlohmann::json;
using queue::TrackEvent;
using queue::TrackKind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FakeTracking final : public queue::Tracking {
 public:
  Result<queue::TrackedPage> find(const queue::TrackQuery& query,
                                  std::optional<queue::TrackPlace> before,
                                  size_t limit) const override {
    asked = query;
    asked_before = before;
    asked_limit = limit;
    return queue::TrackedPage{ids, next};
  }
  Result<std::vector<queue::TrackedMessage>> lives(
      const std::vector<queue::MessageId>& of) const override {
    std::vector<queue::TrackedMessage> out;
    for (const auto& id : of) out.push_back({id, id == idOf(1) ? events : none, nullptr});
    return out;
  }
  uint64_t bytes() const override { return 0; }

  std::vector<queue::MessageId> ids;
  std::optional<queue::TrackPlace> next;
  std::vector<TrackEvent> events;
  const std::vector<TrackEvent> none;
  mutable queue::TrackQuery asked;
  mutable std::optional<queue::TrackPlace> asked_before;
  mutable size_t asked_limit = 0;
};

class ApiTracking : public ::testing::Test {
 protected:
  ApiTracking() { control.fake_tracking = &tracking; }
  void happens(TrackKind kind, std::vector<std::string_view> recipients, uint32_t attempts = 0,
               std::string_view reply = "") {
    TrackEvent event;
    event.kind = kind;
    event.id = idOf(1);
    event.time = event.id.acceptedAt() + std::chrono::seconds(tracking.events.size());
    event.recipients = std::move(recipients);
    event.attempts = attempts;
    event.reply = reply;
    tracking.events.push_back(event);
  }
  net::HttpResponse ask(net::QueryParameters query, std::vector<std::string> path = {}) {
    net::HttpRequest request;
    request.method = "GET";
    request.query = std::move(query);
    return answerTracking(request, path, control);
  }
  json one() { return json::parse(ask({}, {idOf(1).toString()}).body); }

  FakeTracking tracking;
  FakeControl control;
};

TEST_F(ApiTracking, AMessageIsQueuedUntilItsLastRecipientHasEnded) {
  happens(TrackKind::Accepted, {"a@x.test", "b@y.test"});
  EXPECT_EQ(one()["state"], "queued");
  happens(TrackKind::Deferred, {"a@x.test"}, 1, "later");
  happens(TrackKind::Delivered, {"b@y.test"}, 1, "ok");
  EXPECT_EQ(one()["state"], "queued");
  EXPECT_TRUE(one()["ended"].is_null());
  EXPECT_EQ(one()["recipients"][0]["state"], "deferred");
  EXPECT_EQ(one()["recipients"][0]["last_reply"], "later");
  happens(TrackKind::Held, {"a@x.test"});
  EXPECT_EQ(one()["recipients"][0]["state"], "held");
  happens(TrackKind::Released, {"a@x.test"});
  EXPECT_EQ(one()["recipients"][0]["state"], "queued");
  happens(TrackKind::Bounced, {"a@x.test"}, 2, "no");
  EXPECT_EQ(one()["state"], "bounced");
  EXPECT_EQ(one()["attempts"], 2);
  EXPECT_FALSE(one()["ended"].is_null());
  EXPECT_EQ(one()["events"].size(), 6u);
}

TEST_F(ApiTracking, WhatWasTakenBackCountsForEveryRecipient) {
  happens(TrackKind::Accepted, {"a@x.test"});
  happens(TrackKind::Undone, {});
  EXPECT_EQ(one()["state"], "undone");
}

TEST_F(ApiTracking, ANoticeIsNoEndOfARecipient) {
  happens(TrackKind::Accepted, {"a@x.test"});
  happens(TrackKind::Notice, {"sender@example.com"}, 0, "delay notice");
  EXPECT_EQ(one()["state"], "queued");
  EXPECT_EQ(one()["recipients"].size(), 1u);
}

TEST_F(ApiTracking, FiltersAndCursorAreHandedOn) {
  happens(TrackKind::Accepted, {"a@x.test"});
  tracking.ids = {idOf(1)};
  tracking.next = queue::TrackPlace{77, 3};
  const json page = json::parse(
      ask({{"sender", "s@example.com"}, {"limit", "5"}, {"since", "2h"}, {"cursor", "99-4"}}).body);
  EXPECT_EQ(page["items"].size(), 1u);
  EXPECT_EQ(page["next"], "77-3");
  EXPECT_EQ(tracking.asked.sender, "s@example.com");
  EXPECT_TRUE(tracking.asked.since);
  EXPECT_EQ(tracking.asked_limit, 5u);
  EXPECT_EQ(tracking.asked_before, (queue::TrackPlace{99, 4}));
}

TEST_F(ApiTracking, AnIdIsLookedUpWithoutASearch) {
  happens(TrackKind::Accepted, {"a@x.test"});
  const json page = json::parse(ask({{"any", idOf(1).toString()}}).body);
  EXPECT_EQ(page["items"].size(), 1u);
  EXPECT_EQ(tracking.asked_limit, 0u);
}

TEST_F(ApiTracking, MistakesInAQuestionAreToldAndChooseNothing) {
  const std::pair<std::string, std::string> wrong[] = {
      {"sendr", "a"}, {"sender", ""},    {"since", "yesterday"}, {"until", "2026-13-01"},
      {"limit", "0"}, {"limit", "1001"}, {"cursor", "next"}};
  for (const auto& [name, value] : wrong) EXPECT_EQ(ask({{name, value}}).status, 400) << name;
  EXPECT_EQ(ask({{"any", "a"}, {"any", "b"}}).status, 400);
  EXPECT_EQ(ask({}, {"nonsense"}).status, 404);
  EXPECT_EQ(ask({}, {idOf(9).toString()}).status, 404);
  control.fake_tracking = nullptr;
  EXPECT_EQ(ask({}).status, 400);
}

TEST(ReadMoment, TakesTimesAndAges) {
  const WallTime now = *readMoment("2026-11-24T12:00:00Z", {});
  EXPECT_EQ(formatRfc3339(now), "2026-11-24T12:00:00.000000Z");
  EXPECT_EQ(*readMoment("2h", now), now - std::chrono::hours(2));
  EXPECT_EQ(*readMoment("60", now), now - std::chrono::minutes(1));
  EXPECT_EQ(formatRfc3339(*readMoment("2026-11-24", now)), "2026-11-24T00:00:00.000000Z");
  EXPECT_EQ(formatRfc3339(*readMoment("2026-11-24T01:02:03.5Z", now)),
            "2026-11-24T01:02:03.500000Z");
  for (const char* wrong : {"", "now", "2026-02-30", "2026-11-24T25:00:00Z", "2026-11-24T1",
                            "2026-11-24T01:02:03.Z", "2026-11-24 01:02:03"})
    EXPECT_FALSE(readMoment(wrong, now)) << wrong;
}

}  // namespace
}  // namespace sluice::relay
