// After a start: what was left half-received is removed, and what is queued is counted key by key
// in the background, while mail is taken already.
//
// The walk first sees whether the schedule can be read, and has it written anew if not. It reads
// the schedule as it was when the store was opened, or when it was written anew: of what the shards
// themselves have accepted since the start they know better. Due times stay as they are: what was
// deferred stays deferred.
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

// Lanes that occur in the schedule. Errors: Corrupt, Io.
Result<std::vector<uint8_t>> storedLanes(const Store& store);

class Walk {
 public:
  struct Slice {
    std::vector<WalkedKey> keys;
    uint8_t lane = 0;
  };
  // `start_number` is in the ids of this process. `on_keys` and `on_messages` get what was found of
  // one lane; `on_complete` comes last. All on a reader thread.
  Walk(QueueContext& context, uint32_t start_number,
       std::function<void(uint8_t lane, std::vector<WalkedKey>)> on_keys,
       std::function<void(uint8_t lane, std::vector<WallTime> accepted)> on_messages,
       std::function<void()> on_complete);
  // Puts itself on the reader pool, a slice at a time. Lives until it has completed, or as long as
  // the pool runs.
  void start();

 private:
  static constexpr size_t kSliceEntries = 20'000;
  void next();
  void repair(const std::string& damage);
  bool isOurs(const MessageId& id) const;
  bool walkSchedule(const Store::Reading& store);
  bool walkEnvelopes(const Store::Reading& store);
  void count(std::string_view key_bytes, std::string_view value);
  void flushKeys(bool complete);

  QueueContext& context_;
  const std::string start_number_;  // as at the end of an id
  std::function<void(uint8_t, std::vector<WalkedKey>)> on_keys_;
  std::function<void(uint8_t, std::vector<WallTime>)> on_messages_;
  std::function<void()> on_complete_;
  enum class Part : uint8_t { Check, Schedule, Envelopes } part_ = Part::Check;
  std::string resume_;  // the last key looked at
  uint8_t lane_ = 0;
  std::vector<WalkedKey> keys_;  // of lane_, not yet handed over
};

}  // namespace sluice::queue
