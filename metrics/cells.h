// What a module counts with: cells that one thread writes and any thread reads.
//
// A shard has its own cells, so counting is a plain add; a scrape sums the cells of all shards.
// Relaxed atomics make the reads legal and cost nothing on the writing side.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice::metrics {

// Only grows. One writing thread.
class Counter {
 public:
  void add(uint64_t count = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
  }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// Goes up and down. One writing thread.
class Gauge {
 public:
  void add(int64_t by) {
    value_.store(value_.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
  void set(int64_t value) { value_.store(value, std::memory_order_relaxed); }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_{0};
};

// Counts observations under upper bounds that it refers to (metrics/buckets.h). One writing thread.
class Histogram {
 public:
  static constexpr size_t kMaxBuckets = 24;
  explicit Histogram(std::span<const double> bounds) : bounds_(bounds) {}

  void observe(double value) {
    size_t bucket = 0;
    while (bucket < bounds_.size() && value > bounds_[bucket]) ++bucket;
    counts_[bucket].add();
    sum_.store(sum_.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
  }
  std::span<const double> bounds() const { return bounds_; }
  uint64_t count(size_t bucket) const { return counts_[bucket].value(); }  // last: above all bounds
  double sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
  std::span<const double> bounds_;
  std::array<Counter, kMaxBuckets + 1> counts_{};
  std::atomic<double> sum_{0};
};

}  // namespace sluice::metrics
