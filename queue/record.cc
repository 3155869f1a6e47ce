// How records are written and read. The checksum stands last, so that a record is judged before
// anything in it is believed.
#include "queue/record.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "queue/codec.h"

namespace sluice::queue {
namespace {

constexpr uint8_t kVersion = 1;
// An envelope with fields in front of its content: a relay that does not know them must not send
// the content without them.
constexpr uint8_t kVersionWithFields = 2;
constexpr size_t kChecksumBytes = 4;

// CRC-32C (Castagnoli, RFC 3720 appendix B.4), reflected.
constexpr std::array<uint32_t, 256> makeCrcTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? 0x82f63b78u : 0);
    table[i] = crc;
  }
  return table;
}
constexpr auto kCrcTable = makeCrcTable();

uint32_t crcByTable(uint32_t crc, std::string_view bytes) {
  for (const char byte : bytes)
    crc = (crc >> 8) ^ kCrcTable[(crc ^ static_cast<uint8_t>(byte)) & 0xff];
  return crc;
}

#ifdef __x86_64__
// The processor's own, 8 bytes at a time: a start looks through every entry of the schedule.
__attribute__((target("sse4.2"))) uint32_t crcByInstruction(uint32_t crc, std::string_view bytes) {
  uint64_t sum = crc;
  for (; bytes.size() >= sizeof(uint64_t); bytes.remove_prefix(sizeof(uint64_t))) {
    uint64_t word;
    std::memcpy(&word, bytes.data(), sizeof word);
    sum = __builtin_ia32_crc32di(sum, word);
  }
  crc = static_cast<uint32_t>(sum);
  for (const char byte : bytes) crc = __builtin_ia32_crc32qi(crc, static_cast<uint8_t>(byte));
  return crc;
}

uint32_t crcOf(uint32_t crc, std::string_view bytes) {
  static const bool has_instruction = __builtin_cpu_supports("sse4.2");
  return has_instruction ? crcByInstruction(crc, bytes) : crcByTable(crc, bytes);
}
#else
uint32_t crcOf(uint32_t crc, std::string_view bytes) { return crcByTable(crc, bytes); }
#endif

uint32_t checksum(std::string_view key, std::string_view value) {
  return ~crcOf(crcOf(~0u, key), value);
}

std::string sealed(std::string_view key, std::string value) {
  appendU32(value, checksum(key, value));
  return value;
}

// The value without its checksum, from its version on, if the checksum is right.
Result<std::string_view> verified(std::string_view key, std::string_view bytes) {
  if (bytes.size() < kChecksumBytes + 1) return fail(Errc::Corrupt, "record is too short");
  const auto value = bytes.substr(0, bytes.size() - kChecksumBytes);
  if (readU32(bytes.substr(value.size())) != checksum(key, value))
    return fail(Errc::Corrupt, "record fails its checksum");
  return value;
}

// The value without its checksum and version, if both are right.
Result<std::string_view> opened(std::string_view key, std::string_view bytes) {
  ASSIGN_OR_RETURN(const std::string_view value, verified(key, bytes));
  if (static_cast<uint8_t>(value.front()) != kVersion)
    return fail(Errc::Unsupported, "record is of an unknown version");
  return value.substr(1);
}

// Runs of consecutive indexes: how many, then for each the gap before it and its length.
void appendRecipients(std::string& out, const std::vector<uint16_t>& recipients) {
  size_t runs = 0;
  for (size_t i = 0; i < recipients.size(); ++i)
    if (i == 0 || recipients[i] != recipients[i - 1] + 1) ++runs;
  appendVarint(out, runs);
  uint32_t after = 0;  // the index behind the last run
  for (size_t i = 0; i < recipients.size();) {
    size_t end = i + 1;
    while (end < recipients.size() && recipients[end] == recipients[end - 1] + 1) ++end;
    appendVarint(out, recipients[i] - after);
    appendVarint(out, end - i);
    after = recipients[end - 1] + 1u;
    i = end;
  }
}

bool readRecipients(RecordReader& in, std::vector<uint16_t>& out) {
  const uint64_t runs = in.varint(kMaxRecipients);
  uint64_t next = 0;
  for (uint64_t run = 0; run < runs && in.ok(); ++run) {
    next += in.varint(kMaxRecipients);
    const uint64_t count = in.varint(kMaxRecipients);
    if (!in.ok() || count == 0 || next + count > kMaxRecipients) return false;
    for (uint64_t i = 0; i < count; ++i) out.push_back(static_cast<uint16_t>(next++));
  }
  return in.ok() && !out.empty();
}

uint8_t notifyBits(const Notify& notify) {
  return static_cast<uint8_t>((notify.set ? 1 : 0) | (notify.never ? 2 : 0) |
                              (notify.success ? 4 : 0) | (notify.failure ? 8 : 0) |
                              (notify.delay ? 16 : 0));
}

Notify notifyOf(uint8_t bits) {
  return {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0, (bits & 16) != 0};
}

void appendEnvelope(std::string& out, const Envelope& envelope) {
  out.push_back(
      static_cast<char>(static_cast<uint8_t>(envelope.body) | (envelope.smtputf8 ? 2 : 0) |
                        (static_cast<uint8_t>(envelope.ret) << 2) |
                        (envelope.require_tls ? 16 : 0) | (envelope.tls_optional ? 32 : 0)));
  appendString(out, envelope.reverse_path);
  appendString(out, envelope.envid);
  appendString(out, envelope.receive_connector);
  appendString(out, envelope.client);
  appendVarint(out, toMicroseconds(envelope.received_at));
  appendVarint(out, envelope.content_bytes);
  appendVarint(out, envelope.recipients.size());
  for (const Recipient& recipient : envelope.recipients) {
    appendString(out, recipient.forward_path);
    out.push_back(static_cast<char>(notifyBits(recipient.notify)));
    appendString(out, recipient.orcpt);
  }
}

bool readEnvelope(RecordReader& in, Envelope& envelope) {
  const uint8_t flags = in.byte();
  if (flags > 0b101111 || (flags & 0b1100) == 0b1100) return false;  // Ret has three values
  envelope.body = static_cast<BodyType>(flags & 1);
  envelope.smtputf8 = (flags & 2) != 0;
  envelope.ret = static_cast<Ret>(flags >> 2 & 3);
  envelope.require_tls = (flags & 16) != 0;
  envelope.tls_optional = (flags & 32) != 0;
  envelope.reverse_path = in.string();
  envelope.envid = in.string();
  envelope.receive_connector = in.string();
  envelope.client = in.string();
  envelope.received_at = fromMicroseconds(in.varint());
  envelope.content_bytes = in.varint();
  const uint64_t count = in.varint(kMaxRecipients);
  if (count > in.remaining()) return false;  // each takes more than a byte
  envelope.recipients.reserve(count);
  for (uint64_t i = 0; i < count && in.ok(); ++i) {
    Recipient& recipient = envelope.recipients.emplace_back();
    recipient.forward_path = in.string();
    recipient.notify = notifyOf(in.byte());
    recipient.orcpt = in.string();
  }
  return in.ok();
}

}  // namespace

bool isValidKey(std::string_view key) {
  return !key.empty() && key.size() <= kMaxKeyBytes && key.find('\0') == std::string_view::npos;
}

Position positionAfter(Position at) {
  if (at.group.revision < UINT16_MAX) {
    ++at.group.revision;
  } else {
    ++at.group.first;  // indexes of recipients stay below the largest value
    at.group.revision = 0;
  }
  return at;
}

std::string schedulePrefix(uint8_t lane, std::string_view key) {
  std::string out;
  out.reserve(key.size() + 2 + 8 + MessageId::kBytes + 4);
  out.push_back(static_cast<char>(lane));
  out.append(key);
  out.push_back('\0');
  return out;
}

std::string schedulePrefixEnd(uint8_t lane, std::string_view key) {
  std::string out = schedulePrefix(lane, key);
  out.back() = '\1';  // no key holds a NUL, so nothing lies in between
  return out;
}

std::string scheduleKey(uint8_t lane, std::string_view key, const Position& at) {
  std::string out = schedulePrefix(lane, key);
  appendU64(out, at.due_us);
  out.append(at.id.bytes());
  appendU16(out, at.group.first);
  appendU16(out, at.group.revision);
  return out;
}

Result<ScheduleKey> parseScheduleKey(std::string_view bytes) {
  constexpr size_t kTail = 1 + 8 + MessageId::kBytes + 4;
  if (bytes.size() < 1 + 1 + kTail || bytes[bytes.size() - kTail] != '\0')
    return fail(Errc::Corrupt, "not a key of the schedule");
  ScheduleKey key;
  key.lane = static_cast<uint8_t>(bytes.front());
  key.key = bytes.substr(1, bytes.size() - 1 - kTail);
  if (!isValidKey(key.key)) return fail(Errc::Corrupt, "not a key of the schedule");
  std::string_view tail = bytes.substr(bytes.size() - kTail + 1);
  key.at.due_us = readU64(tail);
  key.at.id = MessageId::fromBytes(tail.substr(8, MessageId::kBytes));
  tail.remove_prefix(8 + MessageId::kBytes);
  key.at.group = {readU16(tail), readU16(tail.substr(2))};
  return key;
}

std::string encodeSchedule(std::string_view key_bytes, const ScheduleValue& value) {
  std::string out;
  out.push_back(static_cast<char>(kVersion));
  out.push_back(static_cast<char>((value.sole ? 1 : 0) | (value.notified ? 2 : 0)));
  appendVarint(out, value.recipients);
  appendVarint(out, value.attempts);
  return sealed(key_bytes, std::move(out));
}

Result<ScheduleValue> decodeSchedule(std::string_view key_bytes, std::string_view bytes) {
  ASSIGN_OR_RETURN(const std::string_view body, opened(key_bytes, bytes));
  RecordReader in(body);
  ScheduleValue value;
  const uint8_t flags = in.byte();
  value.sole = (flags & 1) != 0;
  value.notified = (flags & 2) != 0;
  value.recipients = static_cast<uint16_t>(in.varint(kMaxRecipients));
  value.attempts = static_cast<uint32_t>(in.varint(UINT32_MAX));
  if (!in.atEnd()) return fail(Errc::Corrupt, "schedule record is not of its form");
  return value;
}

std::string stateKey(const MessageId& id, GroupId group) {
  std::string out;
  out.reserve(MessageId::kBytes + 4);
  out.append(id.bytes());
  appendU16(out, group.first);
  appendU16(out, group.revision);
  return out;
}

Result<std::pair<MessageId, GroupId>> parseStateKey(std::string_view bytes) {
  if (bytes.size() != MessageId::kBytes + 4) return fail(Errc::Corrupt, "not a key of a state");
  const auto tail = bytes.substr(MessageId::kBytes);
  return std::pair(MessageId::fromBytes(bytes.substr(0, MessageId::kBytes)),
                   GroupId{readU16(tail), readU16(tail.substr(2))});
}

std::string encodeGroup(std::string_view key_bytes, const GroupRecord& record) {
  std::string out;
  out.push_back(static_cast<char>(kVersion));
  out.push_back(
      static_cast<char>((record.ended ? 1 : 0) | (record.attempts.delay_notified ? 2 : 0)));
  appendRecipients(out, record.recipients);
  if (!record.ended) {
    appendString(out, record.key);
    appendU64(out, record.due_us);
    appendVarint(out, record.attempts.attempts);
    appendString(out, std::string_view(record.attempts.last_reply).substr(0, kMaxReplyBytes));
  }
  return sealed(key_bytes, std::move(out));
}

Result<GroupRecord> decodeGroup(std::string_view key_bytes, std::string_view bytes) {
  ASSIGN_OR_RETURN(const std::string_view body, opened(key_bytes, bytes));
  RecordReader in(body);
  GroupRecord record;
  const uint8_t flags = in.byte();
  record.ended = (flags & 1) != 0;
  record.attempts.delay_notified = (flags & 2) != 0;
  if (!readRecipients(in, record.recipients))
    return fail(Errc::Corrupt, "state record is not of its form");
  if (!record.ended) {
    record.key = in.string();
    record.due_us = in.u64();
    record.attempts.due = fromMicroseconds(record.due_us);
    record.attempts.attempts = static_cast<uint32_t>(in.varint(UINT32_MAX));
    record.attempts.last_reply = in.string();
  }
  if (!in.atEnd() || (!record.ended && !isValidKey(record.key)))
    return fail(Errc::Corrupt, "state record is not of its form");
  return record;
}

std::string encodeEnvelope(std::string_view key_bytes, const EnvelopeRecord& record) {
  std::string out;
  const std::string& fields = record.envelope->front_fields;
  out.reserve(128 + 48 * record.envelope->recipients.size() + fields.size());
  out.push_back(static_cast<char>(fields.empty() ? kVersion : kVersionWithFields));
  appendU64(out, record.due_us);
  appendVarint(out, record.chunks);
  appendEnvelope(out, *record.envelope);
  appendVarint(out, record.groups.size());
  for (const Group& group : record.groups) {
    appendString(out, group.key);
    appendRecipients(out, group.recipients);
  }
  if (!fields.empty()) appendString(out, fields);
  return sealed(key_bytes, std::move(out));
}

Result<EnvelopeRecord> decodeEnvelope(std::string_view key_bytes, std::string_view bytes) {
  ASSIGN_OR_RETURN(const std::string_view value, verified(key_bytes, bytes));
  RecordReader in(value);
  const uint8_t version = in.byte();
  if (version != kVersion && version != kVersionWithFields)
    return fail(Errc::Unsupported, "record is of an unknown version");
  EnvelopeRecord record;
  record.due_us = in.u64();
  record.chunks = static_cast<uint32_t>(in.varint(UINT32_MAX));
  auto envelope = std::make_shared<Envelope>();
  bool good = readEnvelope(in, *envelope);
  const uint64_t groups = good ? in.varint(kMaxRecipients) : 0;
  for (uint64_t i = 0; good && i < groups; ++i) {
    Group& group = record.groups.emplace_back();
    group.key = in.string();
    good = readRecipients(in, group.recipients) && isValidKey(group.key) &&
           group.recipients.back() < envelope->recipients.size();
  }
  if (version == kVersionWithFields) envelope->front_fields = in.string();
  if (!good || !in.atEnd()) return fail(Errc::Corrupt, "envelope record is not of its form");
  record.envelope = std::move(envelope);
  return record;
}

std::string contentKey(const MessageId& id, uint32_t chunk) {
  std::string out;
  out.reserve(MessageId::kBytes + 4);
  out.append(id.bytes());
  appendU32(out, chunk);
  return out;
}

std::string encodeRefusal(const MessageId& id) {
  std::string bytes(id.bytes());
  appendU32(bytes, checksum(id.bytes(), ""));
  return bytes;
}

std::vector<MessageId> decodeRefusals(std::string_view bytes) {
  std::vector<MessageId> ids;
  for (; bytes.size() >= kRefusalBytes; bytes.remove_prefix(kRefusalBytes)) {
    const std::string_view id = bytes.substr(0, MessageId::kBytes);
    const uint32_t sum = readU32(bytes.substr(MessageId::kBytes));
    if (sum != 0 && sum == checksum(id, "")) ids.push_back(MessageId::fromBytes(id));
  }
  return ids;
}

}  // namespace sluice::queue
