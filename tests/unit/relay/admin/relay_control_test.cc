#include "relay/admin/relay_control.h"

#include <gmock/gmock.h>

#include <deque>

#include "relay/admin/shard_calls.h"
#include "tests/unit/relay/admin/fake_control.h"
#include "tests/unit/relay/admin/fake_shards.h"
#include "tests/unit/relay/admin/recording_log.h"

namespace sluice::relay {
namespace {

using queue::RecipientState;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;
using namespace std::chrono_literals;

class RelayControlTest : public ::testing::Test {
 protected:
  static constexpr size_t kShards = 3;
  RelayControlTest() : queue_(kShards), loops_(kShards), views_(kShards), control_(parts()) {}

  RelayControl::Parts parts() {
    RelayControl::Parts parts{.queue = queue_, .log = log_};
    for (size_t i = 0; i < kShards; ++i) {
      parts.loops.push_back(&loops_[i].loop());
      parts.views.push_back(&views_[i]);
    }
    parts.status = [this] { return base_; };
    parts.reload = [] { return Result<void>(); };
    parts.standing_keys = [] { return std::vector<queue::QueueKey>{"=smart"}; };
    parts.timeout = 500ms;
    parts.action_timeout = 500ms;
    return parts;
  }

  FakeMessage& add(size_t shard, uint8_t number, const std::string& key, RecipientState state) {
    FakeMessage message{idOf(number), std::make_shared<queue::Envelope>(), {}};
    queue::RecipientStatus recipient;
    recipient.recipient = "r" + std::to_string(number) + "@" + key;
    recipient.key = key;
    recipient.state = state;
    message.recipients.push_back(recipient);
    auto& messages = queue_.shard(shard).messages;
    messages.push_back(std::move(message));
    return messages.back();
  }
  void rest(size_t shard, const std::string& key) {
    views_[shard].known.push_back({.destination = key,
                                   .keys = {key},
                                   .state = "resting",
                                   .why = {.cause = "hosts_rest", .text = "connection refused"},
                                   .next_attempt = WallTime(2'000'000'000s)});
  }
  static std::vector<std::string> idsOf(const MessageListing& listing) {
    std::vector<std::string> ids;
    for (const MessageView& item : listing.items) ids.push_back(item.id.toString());
    return ids;
  }
  static std::string text(uint8_t number) { return idOf(number).toString(); }
  queue::MessageFilter byState(RecipientState state) {
    queue::MessageFilter filter;
    filter.state = state;
    return filter;
  }

  RelayStatus base_{.version = "1", .ready = true};
  FakeQueue queue_;
  std::deque<LoopThread> loops_;
  std::deque<FakeView> views_;
  RecordingLog log_;
  RelayControl control_;
};

TEST_F(RelayControlTest, QueuesAreSummedOverShardsByName) {
  add(0, 1, "a.test", RecipientState::Ready);
  add(1, 2, "a.test", RecipientState::Deferred);
  add(2, 3, "b.test", RecipientState::Held);
  const auto queues = control_.queues();
  ASSERT_TRUE(queues);
  ASSERT_EQ(queues->size(), 2u);
  EXPECT_EQ((*queues)[0].destination.destination, "a.test");
  EXPECT_EQ((*queues)[0].ready, 1u);
  EXPECT_EQ((*queues)[0].deferred, 1u);
  EXPECT_EQ((*queues)[1].held, 1u);
}

TEST_F(RelayControlTest, MessagesOfAllShardsComeInOneOrderAndInPages) {
  for (uint8_t i = 1; i <= 9; ++i) add(i % kShards, i, "a.test", RecipientState::Deferred);
  std::vector<std::string> seen;
  std::optional<queue::MessageId> after;
  int pages = 0;
  do {
    const auto page = control_.messages({}, after, 2);
    ASSERT_TRUE(page);
    for (const auto& id : idsOf(*page)) seen.push_back(id);
    after = page->next;
    ASSERT_LT(++pages, 10);
  } while (after);
  ASSERT_EQ(seen.size(), 9u);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
}

TEST_F(RelayControlTest, AShardThatStopsLookingEarlySkipsNothing) {
  for (uint8_t i = 1; i <= 9; ++i) add(i % kShards, i, "a.test", RecipientState::Deferred);
  queue_.shard(0).max_page = 1;
  std::vector<std::string> seen;
  std::optional<queue::MessageId> after;
  for (int round = 0; round < 20; ++round) {
    const auto page = control_.messages({}, after, 5);
    ASSERT_TRUE(page);
    for (const auto& id : idsOf(*page)) seen.push_back(id);
    after = page->next;
    if (!after) break;
  }
  EXPECT_EQ(seen.size(), 9u);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
}

TEST_F(RelayControlTest, ADestinationCanBeNamedWhereItServesSeveralKeys) {
  add(0, 1, "a.test", RecipientState::Ready);
  add(1, 2, "b.test", RecipientState::Ready);
  add(1, 3, "c.test", RecipientState::Ready);
  views_[0].known.push_back({.destination = "mx.shared", .keys = {"a.test"}, .state = "idle"});
  views_[1].known.push_back({.destination = "mx.shared", .keys = {"b.test"}, .state = "idle"});
  queue::MessageFilter filter;
  filter.key_or_domain = "mx.shared";
  EXPECT_THAT(idsOf(*control_.messages(filter, {}, 10)), ElementsAre(text(1), text(2)));
  filter.key_or_domain = "c.test";
  EXPECT_THAT(idsOf(*control_.messages(filter, {}, 10)), ElementsAre(text(3)));
}

TEST_F(RelayControlTest, WhatRestsIsDeferredInEveryView) {
  add(0, 1, "a.test", RecipientState::Ready);
  add(1, 2, "b.test", RecipientState::Ready);
  rest(0, "a.test");
  EXPECT_EQ(control_.queues()->at(0).deferred, 1u);
  EXPECT_EQ(control_.status().deferred, 1u);
  const MessageView message = *control_.message(idOf(1));
  EXPECT_EQ(message.recipients[0].status.state, RecipientState::Deferred);
  EXPECT_EQ(message.recipients[0].status.attempts.last_reply, "connection refused");
  EXPECT_THAT(idsOf(*control_.messages(byState(RecipientState::Deferred), {}, 10)),
              ElementsAre(text(1)));
  EXPECT_THAT(idsOf(*control_.messages(byState(RecipientState::Ready), {}, 10)),
              ElementsAre(text(2)));
  const auto done = control_.act(MessageAction::Discard, byState(RecipientState::Deferred));
  EXPECT_EQ(done->matched, 1u);
  EXPECT_THAT(views_[0].ended, ElementsAre(Pair(text(1), false)));
}

TEST_F(RelayControlTest, FilteringByStatePagesWithoutGaps) {
  for (uint8_t i = 1; i <= 20; ++i) {
    add(i % kShards, i, "a.test", i % 2 == 0 ? RecipientState::Deferred : RecipientState::Held);
  }
  size_t seen = 0;
  std::optional<queue::MessageId> after;
  do {
    const auto page = control_.messages(byState(RecipientState::Deferred), after, 3);
    ASSERT_TRUE(page);
    seen += page->items.size();
    after = page->next;
  } while (after);
  EXPECT_EQ(seen, 10u);
}

TEST_F(RelayControlTest, RetryEndsTheRestOfTheDestinationsItConcerns) {
  add(0, 1, "a.test", RecipientState::Deferred);
  add(1, 2, "b.test", RecipientState::Deferred);
  queue::MessageFilter filter;
  filter.ids = {idOf(1)};
  EXPECT_EQ(control_.act(MessageAction::Retry, filter)->changed, 1u);
  EXPECT_THAT(views_[0].retried, ElementsAre("a.test"));
  EXPECT_THAT(views_[2].retried, ElementsAre("a.test"));
  EXPECT_EQ(control_.act(MessageAction::Retry, {})->matched, 2u);
  EXPECT_EQ(views_[1].retried.back(), "");
}

TEST_F(RelayControlTest, RetryOfNothingWakesNobody) {
  queue::MessageFilter filter;
  filter.ids = {idOf(77)};
  EXPECT_EQ(control_.act(MessageAction::Retry, filter)->matched, 0u);
  EXPECT_THAT(views_[0].retried, IsEmpty());
}

TEST_F(RelayControlTest, BounceAndDiscardEndEachMessageByHand) {
  add(0, 1, "a.test", RecipientState::Deferred);
  add(1, 2, "b.test", RecipientState::Deferred);
  queue::MessageFilter filter;
  filter.ids = {idOf(1)};
  EXPECT_EQ(control_.act(MessageAction::Bounce, filter)->changed, 1u);
  EXPECT_THAT(views_[0].ended, ElementsAre(Pair(text(1), true)));
  EXPECT_EQ(control_.act(MessageAction::Discard, {})->changed, 1u);
  EXPECT_THAT(views_[1].ended, ElementsAre(Pair(text(2), false)));
}

TEST_F(RelayControlTest, HoldAndReleaseAreLoggedOnceAMessage) {
  add(0, 1, "a.test", RecipientState::Deferred);
  add(1, 2, "a.test", RecipientState::Held);
  EXPECT_EQ(control_.act(MessageAction::Hold, {})->matched, 2u);
  ASSERT_EQ(log_.messages().size(), 1u);
  EXPECT_EQ(log_.messages()[0].event, "held");
  EXPECT_EQ(log_.messages()[0].id, text(1));
  EXPECT_EQ(log_.messages()[0].sender, "<>");
  EXPECT_EQ(control_.act(MessageAction::Release, {})->changed, 2u);
  ASSERT_EQ(log_.messages().size(), 3u);
  EXPECT_EQ(log_.messages()[2].event, "released");
}

TEST_F(RelayControlTest, ContentIsFoundOnWhateverShardItIs) {
  add(2, 5, "a.test", RecipientState::Ready);
  EXPECT_EQ(control_.content(idOf(5))->flatten(), "content of " + text(5));
  EXPECT_EQ(control_.content(idOf(6)).error().code, Errc::NotFound);
  EXPECT_EQ(control_.message(idOf(6)).error().code, Errc::NotFound);
}

TEST_F(RelayControlTest, SuspensionsReachEveryShardAndOutliveARestart) {
  add(0, 1, "a.test", RecipientState::Ready);
  EXPECT_TRUE(*control_.suspend("a.test", true));
  EXPECT_FALSE(*control_.suspend("a.test", true));
  for (const FakeView& view : views_) EXPECT_TRUE(view.suspensions.at("a.test"));
  EXPECT_EQ(control_.queues()->at(0).destination.state, "suspended");

  for (FakeView& view : views_) view.suspensions.clear();
  RelayControl after_restart(parts());
  ASSERT_TRUE(after_restart.restoreSuspensions());
  for (const FakeView& view : views_) EXPECT_TRUE(view.suspensions.at("a.test"));
  EXPECT_TRUE(*after_restart.suspend("a.test", false));
  EXPECT_THAT(queue_.settings(""), IsEmpty());
}

TEST_F(RelayControlTest, UnknownDestinationsAreNotFoundButSmartHostsAreAlwaysKnown) {
  EXPECT_EQ(control_.suspend("no.such", true).error().code, Errc::NotFound);
  EXPECT_EQ(control_.suspend("no.such", false).error().code, Errc::NotFound);
  EXPECT_EQ(control_.retryDestination("no.such").error().code, Errc::NotFound);
  EXPECT_TRUE(control_.suspend("host-of-smart", true));
  ASSERT_EQ(control_.queues()->size(), 1u);
  EXPECT_EQ(control_.queues()->at(0).destination.destination, "host-of-smart");
}

TEST_F(RelayControlTest, ADestinationIsRetriedWithItsMessages) {
  add(0, 1, "a.test", RecipientState::Deferred);
  add(1, 2, "b.test", RecipientState::Deferred);
  EXPECT_EQ(control_.retryDestination("a.test")->changed, 1u);
  EXPECT_THAT(views_[1].retried, ElementsAre("a.test"));
}

TEST_F(RelayControlTest, ReadinessNamesItsReason) {
  EXPECT_TRUE(control_.readiness().ready);
  queue_.health_.space = false;
  EXPECT_THAT(control_.readiness().why_not, ::testing::HasSubstr("disk"));
  queue_.health_.writable = false;
  queue_.health_.why_not = "write failed";
  EXPECT_EQ(control_.readiness().why_not, "write failed");
  EXPECT_FALSE(control_.status().ready);
  base_.draining = true;
  EXPECT_FALSE(control_.readiness().ready);
}

TEST_F(RelayControlTest, AnErrorOfOneShardIsTheAnswer) {
  add(0, 1, "a.test", RecipientState::Ready);
  queue_.shard(1).broken = true;
  EXPECT_EQ(control_.messages({}, {}, 10).error().code, Errc::Io);
  EXPECT_EQ(control_.act(MessageAction::Discard, {}).error().code, Errc::Io);
}

// The answer that comes too late must find its place, not a dangling reference.
TEST_F(RelayControlTest, AShardThatHangsIsATimeoutAndItsLateAnswerHarmsNobody) {
  std::atomic<bool> go{false};
  loops_[1].loop().post([&go] { go.wait(false); });
  EXPECT_EQ(control_.queues().error().code, Errc::Timeout);
  EXPECT_FALSE(control_.status().ready);
  go = true;
  go.notify_all();
  EXPECT_TRUE(control_.queues());
}

// With very many destinations a look is dear: who only looks shares it for a while, but never after
// something was changed by hand.
TEST_F(RelayControlTest, ADearLookServesForAWhileUntilSomebodyActs) {
  add(0, 1, "a.test", RecipientState::Ready);
  EXPECT_TRUE(control_.queues());
  EXPECT_TRUE(control_.queues());
  EXPECT_EQ(views_[0].looks, 2);
  views_[0].takes = 300ms;
  EXPECT_TRUE(control_.queues());
  EXPECT_EQ(control_.status().ready_recipients, 1u);
  EXPECT_EQ(views_[0].looks, 3);
  views_[0].takes = 0ms;
  EXPECT_TRUE(control_.act(MessageAction::Hold, {}));
  EXPECT_EQ(control_.status().held, 1u);
  EXPECT_EQ(views_[0].looks, 4);
}

TEST(ShardCalls, AQuestionThatIsDroppedIsAnsweredAtOnce) {
  auto answers = std::make_shared<Answers<int>>(2);
  Answer<int>(answers, 0).give(7);
  { const Answer<int> dropped(answers, 1); }
  EXPECT_EQ(answers->wait(0ms).error().code, Errc::Cancelled);
}

}  // namespace
}  // namespace sluice::relay
