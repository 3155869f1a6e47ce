// What the committer adds to its batches for tracking: the events of all their steps as one block,
// and now and then the summary of the blocks since the last one.
//
// A block's key is the time of its commit, which never comes twice. One, the committer's; its
// thread only.
#pragma once

#include <rocksdb/write_batch.h>

#include <string>
#include <vector>

#include "net/base/clock.h"
#include "queue/step.h"
#include "queue/store.h"
#include "queue/track_summary.h"

namespace sluice::queue {

class TrackWriter {
 public:
  TrackWriter(Store& store, const Clock& clock);

  // The batch is built anew.
  void begin();
  // `tracks` stay where they are until the batch is written.
  void add(const Tracks& tracks);
  // Puts what was added. False if RocksDB refuses.
  bool putInto(rocksdb::WriteBatch& batch);
  // The same as writes to be repeated, if the batch was not synced.
  Ops written() const;
  // The batch failed: what it held is not there. `again`, the events of steps that must happen, is
  // what has to be there in its place.
  Ops failed(const Tracks& again);

 private:
  uint64_t nextKey();
  Store& store_;
  const Clock& clock_;
  std::vector<rocksdb::Slice> parts_;  // of the block
  std::string key_;
  std::string summary_value_;  // empty: none is due
  TrackSummary summary_;
  size_t summary_bytes_ = 0;
  uint64_t summary_from_ = 0;
  uint64_t last_key_ = 0;
};

// Stored in front of a block's events.
inline constexpr char kTrackBlockVersion = 1;

}  // namespace sluice::queue
