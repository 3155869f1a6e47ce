// What the queue counts. One thread writes each cell: the committer, or the shard that it belongs
// to.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>

#include "metrics/buckets.h"
#include "metrics/cells.h"
#include "queue/age_counts.h"

namespace sluice::queue {

// Recipients in the queue by state, of one shard. Written on the shard's loop.
struct ShardQueueMetrics {
  metrics::Gauge ready;
  metrics::Gauge active;
  metrics::Gauge deferred;
  metrics::Gauge held;
  metrics::Gauge messages;
  metrics::Gauge loaded;       // messages in memory
  metrics::Counter accepted;   // messages committed, notices too
  metrics::Counter refills;    // scans that read groups back from disk
  metrics::Counter read_back;  // contents that were read back from disk
  metrics::Counter timeouts;   // commits given up because they took too long
  AgeCounts ages;              // of `messages`

  void addMessages(WallTime accepted, int64_t by) {
    messages.add(by);
    ages.add(accepted, by);
  }
};

struct QueueMetrics {
  // The committer's.
  metrics::Histogram commit_seconds{metrics::kCommitSeconds};
  metrics::Histogram commit_messages{metrics::kCommitMessages};
  metrics::Counter syncs;
  metrics::Counter write_failures;
  metrics::Counter reopens;
  // The watcher's, about once a second.
  metrics::Gauge disk_free_bytes;
  metrics::Gauge oldest_us;  // acceptance of the oldest message, microseconds since 1970; 0 if none
  metrics::Gauge recovery_dropped_bytes;
  metrics::Gauge quarantined_messages;
  metrics::Gauge content_bytes;  // message content in memory
  // One a shard, made by Queue::open.
  std::deque<ShardQueueMetrics> shards;
};

}  // namespace sluice::queue
