// Whoever is on duty reads the one reason that matters.
#include "relay/admin/why.h"

#include <gmock/gmock.h>

namespace sluice::relay {
namespace {

using queue::RecipientState;
using ::testing::HasSubstr;

QueueStatus queueWith(std::string_view cause, const std::string& text) {
  QueueStatus queue;
  queue.destination.destination = "x.test";
  queue.destination.state = cause == "hosts_rest" ? "resting" : "delivering";
  queue.destination.why.cause = cause;
  queue.destination.why.text = text;
  return queue;
}

TEST(Why, AnEmptyQueueIsHeldByNothingUnlessItIsSuspended) {
  EXPECT_TRUE(whyOf(queueWith("connections", "busy")).empty());
  EXPECT_TRUE(whyOf(QueueStatus{}).empty());
  EXPECT_EQ(whyOf(queueWith("suspended", "by hand")).cause, "suspended");
}

TEST(Why, WhatIsReadyIsHeldByItsDestination) {
  QueueStatus queue = queueWith("rate", "too fast");
  queue.ready = 3;
  queue.deferred = 5;
  EXPECT_EQ(whyOf(queue).cause, "rate");
  queue.destination.why = {};
  EXPECT_EQ(whyOf(queue).cause, "turn");
}

TEST(Why, WhatIsDeferredWaitsForItsTimeAndSaysWhatWasAnswered) {
  QueueStatus queue = queueWith("connections", "busy");
  queue.deferred = 5;
  queue.destination.last_reply = "451 later";
  queue.destination.next_attempt = WallTime(std::chrono::seconds(1000));
  const Why why = whyOf(queue);
  EXPECT_EQ(why.cause, "retry");
  EXPECT_THAT(why.text, HasSubstr("451 later"));
  EXPECT_EQ(why.until, queue.destination.next_attempt);
  EXPECT_EQ(why.command, "sluice retry --destination x.test");
  EXPECT_EQ(whyOf([&] {
              QueueStatus resting = queueWith("hosts_rest", "refused");
              resting.deferred = 5;
              return resting;
            }())
                .cause,
            "hosts_rest");
}

TEST(Why, ARecipientSaysItsOwnReasonFirst) {
  DestinationStatus destination = queueWith("hosts_rest", "refused").destination;
  queue::RecipientStatus recipient;
  recipient.attempts.attempts = 2;
  recipient.attempts.last_reply = "450 greylisted";
  EXPECT_TRUE(whyOf(RecipientState::Active, recipient, destination).empty());
  EXPECT_EQ(whyOf(RecipientState::Held, recipient, destination).cause, "held");
  EXPECT_EQ(whyOf(RecipientState::Ready, recipient, destination).cause, "hosts_rest");
  const Why retry = whyOf(RecipientState::Deferred, recipient, destination);
  EXPECT_EQ(retry.cause, "retry");
  EXPECT_THAT(retry.text, HasSubstr("450 greylisted"));
  destination.why.cause = "suspended";
  EXPECT_EQ(whyOf(RecipientState::Deferred, recipient, destination).cause, "suspended");
}

}  // namespace
}  // namespace sluice::relay
