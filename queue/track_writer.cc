// How blocks and summaries are put together.
#include "queue/track_writer.h"

#include "queue/codec.h"
#include "queue/record.h"

namespace sluice::queue {
namespace {

// A clock that was set back by less than this is waited for; by more, it is followed.
constexpr uint64_t kForgivenUs = 3'600'000'000;

std::string keyOf(uint64_t us) {
  std::string key;
  appendU64(key, us);
  return key;
}

}  // namespace

TrackWriter::TrackWriter(Store& store, const Clock& clock) : store_(store), clock_(clock) {
  summary_from_ = toMicroseconds(clock.wall());
}

uint64_t TrackWriter::nextKey() {
  const uint64_t now = toMicroseconds(clock_.wall());
  const bool back = now <= last_key_ && last_key_ - now < kForgivenUs;
  last_key_ = back ? last_key_ + 1 : now;
  return last_key_;
}

void TrackWriter::begin() {
  parts_.clear();
  summary_value_.clear();
}

void TrackWriter::add(const Tracks& tracks) {
  if (tracks.empty()) return;
  if (parts_.empty()) parts_.emplace_back(&kTrackBlockVersion, 1);
  parts_.emplace_back(sliceOf(tracks.events));
  summary_.add(tracks.fingerprints);
  summary_bytes_ += tracks.events.size();
}

bool TrackWriter::putInto(rocksdb::WriteBatch& batch) {
  if (parts_.empty()) return true;
  key_ = keyOf(nextKey());
  summary_from_ = std::min(summary_from_, last_key_);
  const rocksdb::Slice key = sliceOf(key_);
  auto status = batch.Put(store_.family(Family::Tracking), rocksdb::SliceParts(&key, 1),
                          rocksdb::SliceParts(parts_.data(), static_cast<int>(parts_.size())));
  if (summary_.entries() < TrackSummary::kMostEntries && summary_bytes_ < TrackSummary::kMostBytes)
    return status.ok();
  summary_value_ = summary_.encode(summary_from_);
  if (status.ok())
    status = batch.Put(store_.family(Family::TrackingIndex), key, sliceOf(summary_value_));
  summary_.clear();
  summary_bytes_ = 0;
  summary_from_ = last_key_ + 1;
  return status.ok();
}

Ops TrackWriter::written() const {
  Ops ops;
  if (parts_.empty()) return ops;
  std::string value;
  for (const rocksdb::Slice& part : parts_) value.append(part.data(), part.size());
  ops.put(Family::Tracking, key_, value);
  if (!summary_value_.empty()) ops.put(Family::TrackingIndex, key_, summary_value_);
  return ops;
}

Ops TrackWriter::failed(const Tracks& again) {
  Ops ops;
  if (!parts_.empty()) {
    ops.remove(Family::Tracking, key_);
    if (!summary_value_.empty()) ops.remove(Family::TrackingIndex, key_);
  }
  if (!again.empty()) {
    const std::string key = keyOf(nextKey());
    std::string value(1, kTrackBlockVersion);
    value += again.events;
    ops.put(Family::Tracking, key, value);
  }
  begin();
  // What no summary covers is read by every search.
  summary_.clear();
  summary_bytes_ = 0;
  summary_from_ = last_key_ + 1;
  return ops;
}

}  // namespace sluice::queue
