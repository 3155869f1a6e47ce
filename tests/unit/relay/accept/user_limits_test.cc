#include "relay/accept/user_limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::relay {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using testing::IsEmpty;
using testing::SizeIs;

User userWith(Rate rate, uint64_t quota = 0) {
  User user;
  user.name = "ann";
  user.rate = rate;
  user.quota = quota;
  return user;
}

int taken(UserLimits& limits, const User& user, int tries) {
  int count = 0;
  while (tries-- > 0) count += limits.takeMessage(user) ? 1 : 0;
  return count;
}

TEST(UserLimits, LetsAPeriodsWorthOfMessagesThroughAtOnceAndThenTheRate) {
  ManualClock clock;
  UserLimits limits(clock);
  const User user = userWith({30, seconds(60)});
  EXPECT_EQ(taken(limits, user, 100), 30);
  clock.advance(seconds(10));
  EXPECT_EQ(taken(limits, user, 100), 5);
  clock.advance(hours(10));
  EXPECT_EQ(taken(limits, user, 100), 30);
  EXPECT_EQ(taken(limits, userWith({}), 100), 100);
}

TEST(UserLimits, GivesBackWhatWasNotSpent) {
  ManualClock clock;
  UserLimits limits(clock);
  const User user = userWith({}, 3);
  {
    UserLimits::Hold refused(limits, user);
    EXPECT_TRUE(refused.add(3) && refused.add(3) && refused.add(3));
    EXPECT_FALSE(refused.add(3));
  }
  UserLimits::Hold sent(limits, user);
  EXPECT_TRUE(sent.add(3) && sent.add(3));
  sent.spend();
  UserLimits::Hold other(limits, user);
  EXPECT_TRUE(other.add(3));
  EXPECT_FALSE(other.add(3));
}

TEST(UserLimits, BeginsTheQuotaAnewEachDay) {
  ManualClock clock;
  UserLimits limits(clock);
  UserLimits::Hold today(limits, userWith({}, 1));
  EXPECT_TRUE(today.add(1));
  today.spend();
  clock.advance(hours(24));
  UserLimits::Hold tomorrow(limits, userWith({}, 1));
  EXPECT_TRUE(tomorrow.add(1));
}

TEST(UserLimits, RemembersTheQuotaOverARestart) {
  ManualClock clock;
  UserLimits before(clock);
  UserLimits::Hold hold(before, userWith({}, 2));
  hold.add(2);
  hold.spend();
  const auto usage = before.usage();
  ASSERT_THAT(usage, SizeIs(1));
  EXPECT_THAT(before.usage(), IsEmpty()) << "nothing has changed since";
  UserLimits after(clock);
  EXPECT_TRUE(after.restore(usage[0].first, usage[0].second));
  UserLimits::Hold rest(after, userWith({}, 2));
  EXPECT_TRUE(rest.add(2));
  EXPECT_FALSE(rest.add(2));
  clock.advance(hours(24));
  EXPECT_FALSE(UserLimits(clock).restore(usage[0].first, usage[0].second));
  for (const char* nonsense : {"", "1", "x y", "1 2 3", "99999999999999999999 1"}) {
    EXPECT_FALSE(after.restore("ann", nonsense)) << nonsense;
  }
}

}  // namespace
}  // namespace sluice::relay
