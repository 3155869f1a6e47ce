// The states of a recipient in the queue, and what is remembered of its attempts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/base/clock.h"

namespace sluice::queue {

// Ready -> Active (taken) -> an end, or Deferred, or Ready again; Deferred -> Ready when due;
// Ready, Deferred -> Held -> Ready. Ends: delivered, bounced, expired, discarded.
enum class RecipientState : uint8_t { Ready, Active, Deferred, Held };

std::string_view toString(RecipientState state);

struct AttemptRecord {
  uint32_t attempts = 0;  // that reached a reply of this message's own
  WallTime due{};
  bool delay_notified = false;
  std::string last_reply;  // empty before the first attempt
};

}  // namespace sluice::queue
