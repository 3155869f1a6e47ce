// After a start: what was left half-received is removed, and what is queued is counted key by key
// in the background, while mail is taken already.
//
// The walk reads the schedule as it was when the store was opened; what the shards write since does
// not disturb it. Due times stay as they are: what was deferred stays deferred.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "queue/key_queue.h"
#include "queue/queue_context.h"

namespace sluice::queue {

// What the walk found of one key, or of a part of it.
struct WalkedKey {
  QueueKey key;
  Tally waiting;
  Tally held;
  uint64_t earliest_due_us = kNeverDue;
  uint64_t oldest_us = kNeverDue;
  bool complete = false;  // this was its last part in this lane
};

// Contents whose commit never came. Errors: Io, NoSpace. Before anything else is written.
Result<void> removePartials(Store& store);

// Lanes that occur in the schedule.
std::vector<uint8_t> storedLanes(const Store& store);

class Walk {
 public:
  struct Slice {
    std::vector<WalkedKey> keys;
    uint8_t lane = 0;
  };
  // `on_keys` and `on_messages` get what was found of one lane; `on_complete` comes last. All on a
  // reader thread.
  Walk(QueueContext& context, std::function<void(uint8_t lane, std::vector<WalkedKey>)> on_keys,
       std::function<void(uint8_t lane, uint64_t messages)> on_messages,
       std::function<void()> on_complete);
  // Puts itself on the reader pool, a slice at a time. Lives until it has completed, or as long as
  // the pool runs.
  void start();

 private:
  static constexpr size_t kSliceEntries = 20'000;
  void next();
  bool walkSchedule(const Store::Reading& store);
  bool walkEnvelopes(const Store::Reading& store);
  void count(std::string_view key_bytes, std::string_view value);
  void flushKeys(bool complete);

  QueueContext& context_;
  std::function<void(uint8_t, std::vector<WalkedKey>)> on_keys_;
  std::function<void(uint8_t, uint64_t)> on_messages_;
  std::function<void()> on_complete_;
  bool in_schedule_ = true;
  std::string resume_;  // the last key looked at
  uint8_t lane_ = 0;
  std::vector<WalkedKey> keys_;  // of lane_, not yet handed over
};

}  // namespace sluice::queue
