// What the shards of one queue share: the store and its threads, budgets, and the list of messages
// that cannot be read. All of it may be used from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_set>

#include "queue/committer.h"
#include "queue/content_cache.h"
#include "queue/queue.h"
#include "queue/queue_metrics.h"
#include "queue/reader_pool.h"
#include "queue/record.h"
#include "queue/store.h"

namespace sluice::queue {

inline constexpr std::string_view kQuarantinePrefix = "quarantine/";

// Messages that are neither delivered nor dropped, because their bytes fail their checksums.
class Quarantine {
 public:
  bool contains(const MessageId& id) const {
    if (count_.load(std::memory_order_relaxed) == 0) return false;
    const std::lock_guard lock(mutex_);
    return ids_.contains(id);
  }
  // False if it was there already.
  bool add(const MessageId& id) {
    const std::lock_guard lock(mutex_);
    const bool added = ids_.insert(id).second;
    count_.store(ids_.size(), std::memory_order_relaxed);
    return added;
  }
  bool remove(const MessageId& id) {
    const std::lock_guard lock(mutex_);
    const bool removed = ids_.erase(id) > 0;
    count_.store(ids_.size(), std::memory_order_relaxed);
    return removed;
  }
  size_t count() const { return count_.load(std::memory_order_relaxed); }

 private:
  mutable std::mutex mutex_;
  std::unordered_set<MessageId> ids_;
  std::atomic<size_t> count_{0};
};

struct QueueContext {
  explicit QueueContext(const QueueOptions& given)
      : options(given), budget(given.memory_bytes), readers(3) {}

  QueueOptions options;
  MemoryBudget budget;
  Quarantine quarantine;
  std::atomic<uint64_t> disk_free_bytes{UINT64_MAX};
  std::atomic<int64_t> promised_bytes{0};  // announced by MAIL's SIZE, not yet committed
  std::unique_ptr<Store> store;
  std::unique_ptr<Refusals> refusals;
  std::unique_ptr<Committer> committer;
  QueueMetrics* metrics = nullptr;
  size_t shards = 1;
  ReaderPool readers;  // stops before what it reads from is gone

  bool hasSpaceFor(uint64_t bytes) const {
    const int64_t promised = std::max<int64_t>(0, promised_bytes.load(std::memory_order_relaxed));
    const uint64_t wanted = options.disk_reserve_bytes + static_cast<uint64_t>(promised) + bytes;
    return disk_free_bytes.load(std::memory_order_relaxed) >= wanted;
  }
  void tell(StoreEvent event) const {
    if (options.on_event) options.on_event(event);
  }
  // Sets a message aside, once, and says so.
  void quarantineMessage(const MessageId& id, const std::string& why);
};

}  // namespace sluice::queue
