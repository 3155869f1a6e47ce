// How the queue is looked through after a start.
#include "queue/recovery.h"

#include <algorithm>

#include "queue/codec.h"
#include "queue/envelope_cursor.h"
#include "queue/schedule_repair.h"

namespace sluice::queue {
namespace {

constexpr size_t kRemoveAtOnce = 1000;

std::string bigEndian(uint32_t number) {
  std::string bytes;
  appendU32(bytes, number);
  return bytes;
}

// The largest key of a lane lies before this.
std::string laneStart(unsigned lane) { return std::string(1, static_cast<char>(lane)); }

}  // namespace

Result<void> removePartials(Store& store) {
  auto* partials = store.family(Family::Partial);
  auto* contents = store.family(Family::Content);
  const std::unique_ptr<rocksdb::Iterator> marks(
      store.db()->NewIterator(rocksdb::ReadOptions(), partials));
  const std::unique_ptr<rocksdb::Iterator> chunks(
      store.db()->NewIterator(rocksdb::ReadOptions(), contents));
  rocksdb::WriteBatch batch;
  for (marks->SeekToFirst(); marks->Valid(); marks->Next()) {
    const std::string id = marks->key().ToString();
    for (chunks->Seek(id); chunks->Valid() && chunks->key().starts_with(id); chunks->Next())
      batch.SingleDelete(contents, chunks->key());
    batch.SingleDelete(partials, id);
    if (static_cast<size_t>(batch.Count()) < kRemoveAtOnce) continue;
    const auto status = store.db()->Write(rocksdb::WriteOptions(), &batch);
    if (!status.ok()) return failWith(status);
    batch.Clear();
  }
  const auto status = store.db()->Write(rocksdb::WriteOptions(), &batch);
  if (!status.ok()) return failWith(status);
  return {};
}

Result<std::vector<uint8_t>> storedLanes(const Store& store) {
  std::vector<uint8_t> lanes;
  const std::unique_ptr<rocksdb::Iterator> at(
      store.db()->NewIterator(rocksdb::ReadOptions(), store.family(Family::Schedule)));
  at->SeekToFirst();
  while (at->Valid()) {
    const auto lane = static_cast<uint8_t>(at->key()[0]);
    lanes.push_back(lane);
    if (lane == UINT8_MAX) break;
    at->Seek(laneStart(lane + 1u));
  }
  if (!at->status().ok()) return failWith(at->status());
  return lanes;
}

Walk::Walk(QueueContext& context, uint32_t start_number,
           std::function<void(uint8_t, std::vector<WalkedKey>)> on_keys,
           std::function<void(uint8_t, std::vector<WallTime>)> on_messages,
           std::function<void()> on_complete)
    : context_(context),
      start_number_(bigEndian(start_number)),
      on_keys_(std::move(on_keys)),
      on_messages_(std::move(on_messages)),
      on_complete_(std::move(on_complete)) {}

void Walk::start() {
  context_.readers.normal([this] { next(); });
}

// One slice; then the reader pool is asked again, so that others get their turn.
void Walk::next() {
  std::string damage;
  bool finished = false;
  if (const auto reading = context_.store->read()) {
    switch (part_) {
      case Part::Check:
        damage = damageOfSlice(reading, resume_);
        if (damage.empty() && resume_.empty()) part_ = Part::Schedule;
        break;
      case Part::Schedule:
        if (!walkSchedule(reading)) break;
        part_ = Part::Envelopes;
        resume_.clear();
        break;
      case Part::Envelopes:
        finished = walkEnvelopes(reading);
        break;
    }
  } else {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // it is being reopened
  }
  if (!damage.empty()) return repair(damage);
  if (!finished) return start();
  context_.store->dropSnapshot();
  on_complete_();
}

// What is written anew is not in the snapshot of the start.
void Walk::repair(const std::string& damage) {
  part_ = Part::Schedule;
  resume_.clear();
  context_.committer->runAlone([this, damage] {
    context_.store->dropSnapshot();
    if (const auto repaired = repairSchedule(context_, damage); !repaired)
      context_.tell({StoreEvent::What::Damaged, "", repaired.error().detail});
    context_.store->takeSnapshot();
    start();
  });
}

bool Walk::isOurs(const MessageId& id) const { return id.bytes().ends_with(start_number_); }

void Walk::count(std::string_view key_bytes, std::string_view bytes) {
  const auto parsed = parseScheduleKey(key_bytes);
  const auto value = decodeSchedule(key_bytes, bytes);
  if (!parsed || !value)
    return context_.tell({StoreEvent::What::Damaged, "", "an entry of the schedule is damaged"});
  if (isOurs(parsed->at.id)) return;
  if (keys_.empty() || lane_ != parsed->lane || keys_.back().key != parsed->key) {
    if (!keys_.empty()) keys_.back().complete = true;
    if (lane_ != parsed->lane) flushKeys(true);
    lane_ = parsed->lane;
    keys_.emplace_back().key = std::string(parsed->key);
  }
  WalkedKey& key = keys_.back();
  key.oldest_us = std::min(key.oldest_us, toMicroseconds(parsed->at.id.acceptedAt()));
  if (parsed->at.due_us == kNeverDue) {
    key.held.add(1, value->recipients);
  } else {
    key.waiting.add(1, value->recipients);
    key.earliest_due_us = std::min(key.earliest_due_us, parsed->at.due_us);
  }
}

// Hands over what was found; the last key only in part, unless it is known to be complete.
void Walk::flushKeys(bool complete) {
  if (keys_.empty()) return;
  const WalkedKey last = keys_.back();
  keys_.back().complete = complete;
  on_keys_(lane_, std::move(keys_));
  keys_.clear();
  if (!complete) keys_.emplace_back().key = last.key;
}

bool Walk::walkSchedule(const Store::Reading& store) {
  rocksdb::ReadOptions options;
  options.snapshot = context_.store->snapshot();
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> at(
      store->NewIterator(options, store.family(Family::Schedule)));
  if (resume_.empty())
    at->SeekToFirst();
  else
    at->Seek(resume_ + '\0');
  for (size_t entries = 0; at->Valid(); at->Next()) {
    count(viewOf(at->key()), viewOf(at->value()));
    if (++entries < kSliceEntries) continue;
    resume_ = at->key().ToString();
    flushKeys(false);
    return false;
  }
  if (!at->status().ok()) context_.tell({StoreEvent::What::Damaged, "", at->status().ToString()});
  flushKeys(true);
  return true;
}

bool Walk::walkEnvelopes(const Store::Reading& store) {
  rocksdb::ReadOptions options;
  options.snapshot = context_.store->snapshot();
  options.fill_cache = false;
  EnvelopeCursor at(store, options);
  std::optional<MessageId> after;
  if (!resume_.empty()) after = MessageId::fromBytes(resume_);
  std::array<std::vector<WallTime>, 256> accepted{};
  size_t entries = 0;
  for (at.seek(after); at.valid() && entries < kSliceEntries; at.next(), ++entries) {
    resume_ = at.key();
    if (!isOurs(at.id())) accepted[at.id().lane()].push_back(at.id().acceptedAt());
  }
  const bool finished = !at.valid();
  for (const MessageId& id : at.takeDamaged()) {
    accepted[id.lane()].push_back(id.acceptedAt());
    context_.quarantineMessage(id, "its envelope cannot be read");
  }
  for (size_t lane = 0; lane < accepted.size(); ++lane)
    if (!accepted[lane].empty())
      on_messages_(static_cast<uint8_t>(lane), std::move(accepted[lane]));
  return finished;
}

}  // namespace sluice::queue
