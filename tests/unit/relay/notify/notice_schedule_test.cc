// When senders hear that their mail still waits, and when it is given up.
#include "relay/notify/notice_schedule.h"

#include <gtest/gtest.h>

namespace sluice::relay {
namespace {

using namespace std::chrono_literals;

constexpr NoticeTimes kTimes{4h, 96h};
const WallTime kAccepted{std::chrono::seconds(1'700'000'000)};

TEST(NoticeSchedule, TellsOnceThatTheMessageStillWaits) {
  EXPECT_FALSE(delayNoticeDue(kAccepted, false, kAccepted + 4h - 1us, kTimes));
  EXPECT_TRUE(delayNoticeDue(kAccepted, false, kAccepted + 4h, kTimes));
  EXPECT_FALSE(delayNoticeDue(kAccepted, true, kAccepted + 5h, kTimes));
}

TEST(NoticeSchedule, TellsNothingWhereDelayNoticesAreOff) {
  EXPECT_FALSE(delayNoticeDue(kAccepted, false, kAccepted + 5h, {0ms, 96h}));
}

TEST(NoticeSchedule, LeavesTheLastWordToTheFailureNotice) {
  EXPECT_FALSE(delayNoticeDue(kAccepted, false, kAccepted + 96h, kTimes));
  EXPECT_TRUE(lifetimeOver(kAccepted, kAccepted + 96h, kTimes));
  EXPECT_FALSE(lifetimeOver(kAccepted, kAccepted + 96h - 1us, kTimes));
}

TEST(NoticeSchedule, GivesNothingUpWhenTheClockWasSetBack) {
  EXPECT_FALSE(lifetimeOver(kAccepted, kAccepted - 10'000h, kTimes));
  EXPECT_FALSE(delayNoticeDue(kAccepted, false, kAccepted - 10'000h, kTimes));
}

}  // namespace
}  // namespace sluice::relay
