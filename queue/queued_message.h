// A message that is loaded in memory: its envelope, its groups and where each of them stands.
//
// Lives on one shard. It stays loaded while a group is in a window, taken, or on its way to disk,
// and as long as a read that began before its last change may still bring an older picture of it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "queue/queue_reader.h"
#include "queue/record.h"

namespace sluice::queue {

class KeyQueue;
struct QueuedMessage;

// Where a group stands.
enum class Place : uint8_t {
  Disk,     // waits on disk only: ready beyond the window, deferred, or held
  Window,   // ready, in the window of its key
  Active,   // taken
  Writing,  // it is being replaced or ended by a step that is not acknowledged yet
  Fresh,    // of a step that is not acknowledged yet; counted nowhere
};

// Takes the Works that a Remove makes.
using EachWork = std::shared_ptr<UniqueFunction<void(std::unique_ptr<Work>)>>;

// What an administrator asked for while the group was active; done with what is left of it.
struct AfterAttempt {
  bool asked = false;
  Action action = Action::Hold;
  std::vector<uint16_t> recipients;  // of the group, ascending
  EachWork each;                     // for Remove
};

struct QueuedGroup {
  QueuedMessage* message = nullptr;
  KeyQueue* queue = nullptr;
  GroupId id;
  uint16_t origin = 0;
  bool has_record = false;
  Place place = Place::Disk;
  uint8_t bucket = 0;  // in the window
  std::vector<uint16_t> recipients;
  AttemptRecord attempts;
  uint64_t due_us = 0;
  QueuedGroup* previous = nullptr;  // in the window
  QueuedGroup* next = nullptr;
  AfterAttempt after;

  Position position() const;
};

struct QueuedMessage {
  MessageId id;
  std::shared_ptr<const Envelope> envelope;
  std::vector<std::unique_ptr<QueuedGroup>> groups;
  std::vector<EndedOrigin> ended;
  uint32_t chunks = 0;
  bool content_in_memory = false;
  bool quarantined = false;
  std::vector<Slice> content;    // all of it, if content_in_memory
  uint64_t content_charged = 0;  // to the memory budget
  uint32_t pins = 0;             // Works and steps that refer to it
  uint64_t changed = 0;          // serial of the last read that began before its last change
};

// Content as it is sent: the fields of ours, then what is stored.
inline void putFieldsInFront(const Envelope& envelope, std::vector<Slice>& content) {
  if (envelope.front_fields.empty()) return;
  BlockRef block = Block::copyOf(envelope.front_fields);
  const std::string_view bytes = block->view();
  content.insert(content.begin(), Slice{std::move(block), bytes});
}

inline QueuedGroup* groupAt(QueuedMessage& message, GroupId id) {
  for (const auto& group : message.groups)
    if (group->id == id) return group.get();
  return nullptr;
}

inline Position QueuedGroup::position() const { return {due_us, message->id, id}; }

}  // namespace sluice::queue
