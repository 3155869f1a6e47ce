// How much message content is in memory, over all shards: what is being received, and what is kept
// for delivery. Content that does not fit is read back from disk.
#pragma once

#include <atomic>
#include <cstdint>

namespace sluice::queue {

class MemoryBudget {
 public:
  explicit MemoryBudget(uint64_t limit_bytes) : limit_(static_cast<int64_t>(limit_bytes)) {}

  // Content kept for delivery; false if there is no room for it.
  bool keep(uint64_t bytes) {
    const auto count = static_cast<int64_t>(bytes);
    if (kept_.fetch_add(count, std::memory_order_relaxed) + count +
            incoming_.load(std::memory_order_relaxed) <=
        limit_)
      return true;
    kept_.fetch_sub(count, std::memory_order_relaxed);
    return false;
  }
  void release(uint64_t bytes) {
    kept_.fetch_sub(static_cast<int64_t>(bytes), std::memory_order_relaxed);
  }

  // Content on its way in must be held until the committer has it. It may take half of the budget
  // before senders are slowed down.
  void received(int64_t bytes) { incoming_.fetch_add(bytes, std::memory_order_relaxed); }
  bool incomingPressed(uint64_t more_bytes = 0) const {
    return incoming_.load(std::memory_order_relaxed) + static_cast<int64_t>(more_bytes) >
           limit_ / 2;
  }

  uint64_t bytes() const {
    const int64_t sum =
        kept_.load(std::memory_order_relaxed) + incoming_.load(std::memory_order_relaxed);
    return sum > 0 ? static_cast<uint64_t>(sum) : 0;
  }

 private:
  const int64_t limit_;
  std::atomic<int64_t> kept_{0};
  std::atomic<int64_t> incoming_{0};
};

}  // namespace sluice::queue
