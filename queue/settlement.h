// What a group becomes when its attempt is settled. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "queue/record.h"

namespace sluice::queue {

// A group in the form in which it is queued again.
struct GroupForm {
  std::vector<uint16_t> recipients;
  QueueKey key;
  AttemptRecord attempts;
  uint64_t due_us = 0;
};

struct SettledGroup {
  std::vector<GroupForm> forms;  // empty: all ended
  bool unchanged = false;        // one form, the same as before and due: nothing to write
};

// Forms of one group that differ in nothing but the last reply; more of them are joined, with the
// first one's reply, so that a destination whose replies repeat the address keeps its transaction.
inline constexpr size_t kMaxFormsByReply = 8;

// `recipients` ascending. Those that `settlements` do not name stay ready. `due_of` turns a wall
// time into a due time. Recipients that are none of the group's are ignored.
SettledGroup settleGroup(const std::vector<uint16_t>& recipients, const QueueKey& key,
                         const AttemptRecord& before, std::vector<Settlement> settlements,
                         uint64_t now_us, const std::function<uint64_t(WallTime)>& due_of);

}  // namespace sluice::queue
