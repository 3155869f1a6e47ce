// What waits under one queue key on one shard: the window of ready groups in memory, and numbers
// and marks for the rest, which is on disk only.
//
// On disk, the groups of a key are in the order of their Position. Those before `frontier` are
// counted as ready, those from it on as waiting; none that is on disk only and ready lies before
// `cursor`. A group in the window, or taken, is in neither number.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "queue/queued_message.h"
#include "queue/record.h"

namespace sluice::queue {

struct Tally {
  int64_t groups = 0;
  int64_t recipients = 0;
  void add(int64_t by_groups, int64_t by_recipients) {
    groups += by_groups;
    recipients += by_recipients;
  }
};

// Ready groups, in order, fair between reverse-paths: these are hashed into buckets, and the
// buckets take turns, so that one sender's thousand messages do not stand before another's one.
class Window {
 public:
  bool empty() const { return groups_ == 0; }
  size_t groups() const { return groups_; }
  void pushBack(QueuedGroup& group);
  void pushFront(QueuedGroup& group);  // next in turn
  QueuedGroup* next();                 // whose turn it is; stays in; nullptr if empty
  void remove(QueuedGroup& group);
  // The last ones of the buckets, bucket after bucket, up to `most`.
  template <class Visit>
  void forEachFromBack(size_t most, Visit visit) {
    if (!buckets_) return;
    for (Bucket& bucket : *buckets_)
      for (QueuedGroup* group = bucket.last; group && most > 0; group = group->previous, --most)
        visit(*group);
  }

 private:
  static constexpr size_t kBuckets = 16;
  struct Bucket {
    QueuedGroup* first = nullptr;
    QueuedGroup* last = nullptr;
  };
  // Made for the first group, dropped with the last: most keys have an empty window.
  std::unique_ptr<std::array<Bucket, kBuckets>> buckets_;
  uint32_t groups_ = 0;
  uint8_t turn_ = 0;
};

class KeyQueue {
 public:
  explicit KeyQueue(QueueKey name) : key(std::move(name)) {}

  const QueueKey key;
  Window window;
  Tally in_window;
  Tally active;      // taken, or being written
  Tally disk_ready;  // on disk, before `frontier`
  Tally waiting;     // on disk, from `frontier` on
  Tally held;
  Tally set_aside;  // on disk, before `frontier`, of messages that cannot be read
  Position frontier;
  Position cursor;
  uint64_t earliest_due_us = kNeverDue;  // no waiting group is due before
  uint64_t oldest_us = kNeverDue;        // acceptance; may be that of one that left since
  size_t heap_index = SIZE_MAX;          // in the DueHeap; SIZE_MAX: not in it
  uint32_t attached = 0;                 // loaded groups that refer to it
  SteadyTime last_taken{};
  bool walked = false;     // recovery has counted what was on disk at the start
  bool counting = false;   // a scan that moves `frontier` is under way
  bool loading = false;    // a scan that fills the window is under way
  bool hungry = false;     // waits for its turn to load
  bool notifying = false;  // the listener is about to be told
  bool sweeping = false;
  bool grown = false;  // groups became ready on disk since the last pass began
  std::vector<Position> written_while_counting;

  // Everything that is known to wait or to be under way.
  int64_t totalGroups() const {
    return in_window.groups + active.groups + disk_ready.groups + waiting.groups + held.groups +
           set_aside.groups;
  }
  bool idle() const {
    return totalGroups() == 0 && attached == 0 && !counting && !loading && !hungry && !notifying &&
           !sweeping;
  }
};

}  // namespace sluice::queue
