// The stored forms of everything but content: keys that sort, and values with a version and a
// checksum over key and value. docs/queue-format.md describes them for people.
//
// Pure. Decoding takes any bytes: what is not whole, not of a known version, or does not match its
// checksum is Corrupt (Unsupported for a version of the future), never a guess.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/base/result.h"
#include "queue/envelope.h"
#include "queue/message_id.h"
#include "queue/queue.h"

namespace sluice::queue {

inline constexpr uint64_t kNeverDue = UINT64_MAX;  // held
inline constexpr size_t kMaxKeyBytes = 512;
inline constexpr size_t kMaxRecipients = 65'535;  // indexes are 16 bits
inline constexpr size_t kMaxReplyBytes = 1024;    // of a last reply that is remembered
inline constexpr size_t kChunkBytes = ByteChain::kMaxBlockBytes;

inline uint64_t toMicroseconds(WallTime time) {
  const auto count = time.time_since_epoch().count();
  return count < 0 ? 0 : static_cast<uint64_t>(count);
}
inline WallTime fromMicroseconds(uint64_t us) {
  constexpr auto kLatest = static_cast<uint64_t>(INT64_MAX);
  return WallTime(std::chrono::microseconds(static_cast<int64_t>(us < kLatest ? us : kLatest)));
}

// Which group of a message: its first recipient, and how often it was written anew.
struct GroupId {
  uint16_t first = 0;
  uint16_t revision = 0;
  auto operator<=>(const GroupId&) const = default;
};
// The revision of what a group becomes. Zero is the initial form's, and never comes back.
inline uint16_t nextRevision(uint16_t revision) {
  return revision == UINT16_MAX ? uint16_t{1} : static_cast<uint16_t>(revision + 1);
}

// The place of a group among those of its key: by due time, then by age.
struct Position {
  uint64_t due_us = 0;
  MessageId id;
  GroupId group;
  auto operator<=>(const Position&) const = default;
};

// The least position behind `at`.
Position positionAfter(Position at);

// lane, key, 0x00, due, id, first recipient, revision.
std::string scheduleKey(uint8_t lane, std::string_view key, const Position& at);
// Everything of one key in one lane lies between these two.
std::string schedulePrefix(uint8_t lane, std::string_view key);
std::string schedulePrefixEnd(uint8_t lane, std::string_view key);
struct ScheduleKey {
  uint8_t lane = 0;
  std::string_view key;  // into the parsed bytes
  Position at;
};
Result<ScheduleKey> parseScheduleKey(std::string_view bytes);

// What a scan learns of a group without reading its message.
struct ScheduleValue {
  uint16_t recipients = 0;
  uint32_t attempts = 0;
  bool sole = false;      // the message's only group when this was written
  bool notified = false;  // a delay notice went out
};
std::string encodeSchedule(std::string_view key_bytes, const ScheduleValue& value);
Result<ScheduleValue> decodeSchedule(std::string_view key_bytes, std::string_view bytes);

std::string stateKey(const MessageId& id, GroupId group);
Result<std::pair<MessageId, GroupId>> parseStateKey(std::string_view bytes);

// What a group became after its initial form.
struct GroupRecord {
  bool ended = false;  // only says that these recipients are gone; the message lives on
  std::vector<uint16_t> recipients;
  QueueKey key;
  AttemptRecord attempts;
  uint64_t due_us = 0;  // kNeverDue: held
};
std::string encodeGroup(std::string_view key_bytes, const GroupRecord& record);
Result<GroupRecord> decodeGroup(std::string_view key_bytes, std::string_view bytes);

struct EnvelopeRecord {
  std::shared_ptr<const Envelope> envelope;
  std::vector<Group> groups;  // as accepted
  uint64_t due_us = 0;        // of all of them
  uint32_t chunks = 0;        // of content
};
std::string encodeEnvelope(std::string_view key_bytes, const EnvelopeRecord& record);
Result<EnvelopeRecord> decodeEnvelope(std::string_view key_bytes, std::string_view bytes);

std::string contentKey(const MessageId& id, uint32_t chunk);

// The id of a message that was refused although it may be in the log: see refusals.h. Places that
// hold no whole id are passed over.
inline constexpr size_t kRefusalBytes = MessageId::kBytes + 4;
std::string encodeRefusal(const MessageId& id);
std::vector<MessageId> decodeRefusals(std::string_view bytes);

// A key may be queued under: not empty, no NUL, not too long.
bool isValidKey(std::string_view key);

}  // namespace sluice::queue
