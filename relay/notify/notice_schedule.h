// When a waiting message is worth a delay notice, and when its lifetime is over.
//
// Pure: times are given. A clock that was set back makes nothing due.
#pragma once

#include <chrono>

#include "net/base/clock.h"

namespace sluice::relay {

struct NoticeTimes {
  std::chrono::milliseconds delay_notice{};  // [queue] delay_notice; 0 = none
  std::chrono::milliseconds lifetime{};      // [queue] lifetime
};

// The message may be tried until then.
WallTime expiresAt(WallTime accepted_at, const NoticeTimes& times);
bool lifetimeOver(WallTime accepted_at, WallTime now, const NoticeTimes& times);

// The sender should hear now that it still waits. Never twice, never without a delay_notice, and
// not when the failure notice would come at the same time.
bool delayNoticeDue(WallTime accepted_at, bool already_notified, WallTime now,
                    const NoticeTimes& times);

}  // namespace sluice::relay
