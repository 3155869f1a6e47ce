#include "relay/notify/notice_schedule.h"

namespace sluice::relay {

WallTime expiresAt(WallTime accepted_at, const NoticeTimes& times) {
  return accepted_at + times.lifetime;
}

bool lifetimeOver(WallTime accepted_at, WallTime now, const NoticeTimes& times) {
  return now >= expiresAt(accepted_at, times);
}

bool delayNoticeDue(WallTime accepted_at, bool already_notified, WallTime now,
                    const NoticeTimes& times) {
  if (already_notified || times.delay_notice.count() <= 0) return false;
  return now >= accepted_at + times.delay_notice && !lifetimeOver(accepted_at, now, times);
}

}  // namespace sluice::relay
