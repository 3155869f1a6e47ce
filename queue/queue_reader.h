// Reading the stored queue: one message with the groups it has now, the schedule of a key in order,
// pages of messages, chunks of content.
//
// Runs on reader threads, over an open database that the caller holds. Every call does a bounded
// piece of work.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "queue/record.h"
#include "queue/store.h"

namespace sluice::queue {

// A group as the store has it.
struct StoredGroup {
  GroupId id;
  uint16_t origin = 0;      // which of the groups as accepted it comes from
  bool has_record = false;  // differs from its initial form
  std::vector<uint16_t> recipients;
  QueueKey key;
  AttemptRecord attempts;
  uint64_t due_us = 0;
};

struct EndedOrigin {
  GroupId id;
  uint16_t origin = 0;
};

struct StoredMessage {
  MessageId id;
  std::shared_ptr<const Envelope> envelope;
  uint32_t chunks = 0;
  std::vector<StoredGroup> groups;  // alive
  std::vector<EndedOrigin> ended;   // records of the dead
};

using StateRecords = std::vector<std::pair<GroupId, GroupRecord>>;
// An initial group is alive as accepted unless a record names one of its recipients; then only the
// records count. Pure. Errors: Corrupt, if the records do not belong together.
Result<StoredMessage> assemble(const MessageId& id, EnvelopeRecord envelope, StateRecords states);

// Errors: NotFound, Corrupt, Unsupported, Io.
// `has_states` false: it is known to have no state records.
Result<StoredMessage> readMessage(const Store::Reading& store, const MessageId& id,
                                  bool has_states = true);
Result<EnvelopeRecord> readEnvelopeRecord(const Store::Reading& store, const MessageId& id);
// All keys that belong to a message, found by its id, for removing one whose envelope cannot be
// read. Its entries in the schedule are not among them.
std::vector<std::pair<Family, std::string>> keysOf(const Store::Reading& store,
                                                   const MessageId& id);
Result<BlockRef> readChunk(const Store::Reading& store, const MessageId& id, uint32_t chunk);

// Groups of one key from `from` up to `to` (not included), over all `lanes`, in order.
struct ScheduleRange {
  std::vector<uint8_t> lanes;
  QueueKey key;
  Position from;
  Position to;
  size_t most = 0;
};
struct ScheduleEntry {
  Position at;
  ScheduleValue value;
};
struct ScheduleScan {
  std::vector<ScheduleEntry> entries;
  bool more = false;                    // cut off at `most`: there is more before `to`
  std::optional<uint64_t> next_due_us;  // of the first entry at or behind `to`, if it was reached
  std::optional<Error> damage;          // what could not be read was left out
};
ScheduleScan scanSchedule(const Store::Reading& store, const ScheduleRange& range);

// Messages of `lanes` behind `after`, in the order of ids. Looks at no more than `most_looked_at`.
struct MessageScan {
  std::vector<StoredMessage> messages;
  std::vector<MessageId> damaged;
  std::optional<MessageId> resume_after;  // nothing: the end was reached
};
MessageScan scanMessages(const Store::Reading& store, std::optional<MessageId> after,
                         size_t most_looked_at, size_t most_found,
                         const std::function<bool(const MessageId&)>& mine,
                         const std::function<bool(const StoredMessage&)>& wanted);

}  // namespace sluice::queue
