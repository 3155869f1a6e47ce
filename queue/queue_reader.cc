// How stored records become messages, and how the schedule is walked.
#include "queue/queue_reader.h"

#include <algorithm>
#include <cstring>

#include "queue/envelope_cursor.h"

namespace sluice::queue {
namespace {

std::unique_ptr<rocksdb::Iterator> iterate(const Store::Reading& store, Family family,
                                           rocksdb::ReadOptions& options) {
  options.auto_prefix_mode = false;
  options.total_order_seek = true;
  return std::unique_ptr<rocksdb::Iterator>(store->NewIterator(options, store.family(family)));
}

// The records of `id` in the state family.
Result<StateRecords> readStates(const Store::Reading& store, const MessageId& id) {
  rocksdb::ReadOptions options;
  auto at = iterate(store, Family::State, options);
  StateRecords states;
  for (at->Seek(sliceOf(id.bytes())); at->Valid(); at->Next()) {
    const std::string_view key = viewOf(at->key());
    if (!key.starts_with(id.bytes())) break;
    ASSIGN_OR_RETURN(const auto parsed, parseStateKey(key));
    ASSIGN_OR_RETURN(auto record, decodeGroup(key, viewOf(at->value())));
    states.emplace_back(parsed.second, std::move(record));
  }
  if (!at->status().ok()) return failWith(at->status());
  return states;
}

// The state records of one message after the other, in the order of ids.
class StateCursor {
 public:
  explicit StateCursor(std::unique_ptr<rocksdb::Iterator> at) : at_(std::move(at)) {}

  Result<StateRecords> recordsOf(const MessageId& id) {
    if (!placed_ || (at_->Valid() && viewOf(at_->key()) < id.bytes()) || !at_->status().ok())
      at_->Seek(sliceOf(id.bytes()));
    placed_ = true;
    StateRecords records;
    for (; at_->Valid() && viewOf(at_->key()).starts_with(id.bytes()); at_->Next()) {
      ASSIGN_OR_RETURN(const auto parsed, parseStateKey(viewOf(at_->key())));
      ASSIGN_OR_RETURN(auto record, decodeGroup(viewOf(at_->key()), viewOf(at_->value())));
      records.emplace_back(parsed.second, std::move(record));
    }
    if (!at_->status().ok()) return failWith(at_->status());
    return records;
  }

 private:
  std::unique_ptr<rocksdb::Iterator> at_;
  bool placed_ = false;
};

StoredGroup initialGroup(const Group& group, uint16_t origin, uint64_t due_us) {
  StoredGroup out;
  out.id = {group.recipients.front(), 0};
  out.origin = origin;
  out.recipients = group.recipients;
  out.key = group.key;
  out.due_us = due_us;
  out.attempts.due = fromMicroseconds(due_us);
  return out;
}

// The part of one lane in a scan. Damage ends it: what comes behind cannot be told from here.
void scanLane(const Store::Reading& store, const ScheduleRange& range, uint8_t lane,
              ScheduleScan& scan) {
  const std::string end = schedulePrefixEnd(lane, range.key);
  const rocksdb::Slice upper = sliceOf(end);
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &upper;
  auto at = iterate(store, Family::Schedule, options);
  size_t found = 0;
  for (at->Seek(scheduleKey(lane, range.key, range.from)); at->Valid(); at->Next()) {
    const std::string_view key = viewOf(at->key());
    const auto parsed = parseScheduleKey(key);
    const auto value = decodeSchedule(key, viewOf(at->value()));
    if (!parsed || !value) {
      scan.damage = parsed ? value.error() : parsed.error();
      continue;
    }
    if (parsed->at >= range.to) {
      scan.next_due_us = std::min(scan.next_due_us.value_or(kNeverDue), parsed->at.due_us);
      break;
    }
    if (found == range.most) {
      scan.more = true;
      break;
    }
    ++found;
    scan.entries.push_back({parsed->at, *value});
  }
  if (!at->status().ok()) scan.damage = Error{errcOf(at->status()), at->status().ToString()};
}

}  // namespace

Result<StoredMessage> assemble(const MessageId& id, EnvelopeRecord envelope, StateRecords states) {
  StoredMessage message;
  message.id = id;
  message.envelope = envelope.envelope;
  message.chunks = envelope.chunks;
  // Which initial group a recipient belongs to, and which of these have been replaced.
  std::vector<int32_t> origin_of(envelope.envelope->recipients.size(), -1);
  for (size_t i = 0; i < envelope.groups.size(); ++i)
    for (const uint16_t recipient : envelope.groups[i].recipients)
      origin_of[recipient] = static_cast<int32_t>(i);
  std::vector<bool> replaced(envelope.groups.size(), false);
  for (auto& [group, record] : states) {
    const uint16_t first = record.recipients.front();
    if (record.recipients.back() >= origin_of.size() || origin_of[first] < 0)
      return fail(Errc::Corrupt, "a state record names recipients that the envelope lacks");
    const auto origin = static_cast<uint16_t>(origin_of[first]);
    replaced[origin] = true;
    if (record.ended) {
      message.ended.push_back({group, origin});
      continue;
    }
    StoredGroup& alive = message.groups.emplace_back();
    alive.id = group;
    alive.origin = origin;
    alive.has_record = true;
    alive.recipients = std::move(record.recipients);
    alive.key = std::move(record.key);
    alive.attempts = std::move(record.attempts);
    alive.due_us = record.due_us;
  }
  for (size_t i = 0; i < envelope.groups.size(); ++i)
    if (!replaced[i])
      message.groups.push_back(
          initialGroup(envelope.groups[i], static_cast<uint16_t>(i), envelope.due_us));
  return message;
}

Result<EnvelopeRecord> readEnvelopeRecord(const Store::Reading& store, const MessageId& id) {
  ASSIGN_OR_RETURN(const std::string bytes, store.get(Family::Envelope, id.bytes()));
  return decodeEnvelope(id.bytes(), bytes);
}

Result<StoredMessage> readMessage(const Store::Reading& store, const MessageId& id,
                                  bool has_states) {
  ASSIGN_OR_RETURN(auto envelope, readEnvelopeRecord(store, id));
  if (!has_states) return assemble(id, std::move(envelope), {});
  ASSIGN_OR_RETURN(auto states, readStates(store, id));
  return assemble(id, std::move(envelope), std::move(states));
}

std::vector<std::pair<Family, std::string>> keysOf(const Store::Reading& store,
                                                   const MessageId& id) {
  std::vector<std::pair<Family, std::string>> keys{{Family::Envelope, std::string(id.bytes())}};
  for (const Family family : {Family::Content, Family::State}) {
    rocksdb::ReadOptions options;
    const auto at = iterate(store, family, options);
    for (at->Seek(sliceOf(id.bytes())); at->Valid(); at->Next()) {
      if (!viewOf(at->key()).starts_with(id.bytes())) break;
      keys.emplace_back(family, at->key().ToString());
    }
  }
  return keys;
}

Result<BlockRef> readChunk(const Store::Reading& store, const MessageId& id, uint32_t chunk) {
  rocksdb::PinnableSlice value;
  const auto status = store->Get(rocksdb::ReadOptions(), store.family(Family::Content),
                                 sliceOf(contentKey(id, chunk)), &value);
  if (status.IsNotFound()) return fail(Errc::Corrupt, "a piece of the content is missing");
  if (!status.ok()) return failWith(status);
  return Block::copyOf(viewOf(value));
}

ScheduleScan scanSchedule(const Store::Reading& store, const ScheduleRange& range) {
  ScheduleScan scan;
  for (const uint8_t lane : range.lanes) scanLane(store, range, lane, scan);
  if (range.lanes.size() > 1) {
    std::sort(scan.entries.begin(), scan.entries.end(),
              [](const ScheduleEntry& a, const ScheduleEntry& b) { return a.at < b.at; });
    if (scan.entries.size() > range.most) {
      scan.entries.resize(range.most);
      scan.more = true;
    }
  }
  if (scan.more) scan.next_due_us.reset();
  return scan;
}

MessageScan scanMessages(const Store::Reading& store, std::optional<MessageId> after,
                         size_t most_looked_at, size_t most_found,
                         const std::function<bool(const MessageId&)>& mine,
                         const std::function<bool(const StoredMessage&)>& wanted) {
  MessageScan scan;
  rocksdb::ReadOptions options;
  EnvelopeCursor envelopes(store, options);
  StateCursor states(iterate(store, Family::State, options));
  std::optional<MessageId> last = after;
  size_t looked = 0;
  for (envelopes.seek(after); envelopes.valid(); envelopes.next()) {
    const MessageId id = envelopes.id();
    if (looked++ == most_looked_at || scan.messages.size() == most_found) {
      scan.resume_after = last;
      break;
    }
    last = id;
    if (!mine(id)) continue;
    auto envelope = decodeEnvelope(envelopes.key(), envelopes.value());
    auto records = states.recordsOf(id);
    Result<StoredMessage> message = fail(Errc::Corrupt, "");
    if (envelope && records) message = assemble(id, std::move(*envelope), std::move(*records));
    if (!message)
      scan.damaged.push_back(id);
    else if (wanted(*message))
      scan.messages.push_back(std::move(*message));
  }
  for (const MessageId& id : envelopes.takeDamaged())
    if (mine(id)) scan.damaged.push_back(id);
  return scan;
}

}  // namespace sluice::queue
