// What became of messages, also of those that have left: looked up by name, and kept for as long
// and as large as the configuration says.
//
// Events are written by the committer with the steps that they tell of, see track_writer.h; here
// they are read. Any thread may ask; a question reads the disk and may take some seconds, in
// pieces, so that the store is never held open for long. Nothing here can fail mail.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "net/base/result.h"
#include "queue/queue.h"
#include "queue/store.h"
#include "queue/track_event.h"
#include "queue/track_summary.h"

namespace sluice::queue {

class TrackingImpl final : public Tracking {
 public:
  // The store and the options outlive it.
  TrackingImpl(const Store& store, const QueueOptions& options);
  ~TrackingImpl() override;

  Result<TrackedPage> find(const TrackQuery& query, std::optional<TrackPlace> before,
                           size_t limit) const override;
  Result<std::vector<TrackedMessage>> lives(const std::vector<MessageId>& ids) const override;
  uint64_t bytes() const override { return bytes_.load(std::memory_order_relaxed); }
  // Ends the keeper. Questions may still come.
  void stop();
  // Drops what is too old and too much, by whole files. The keeper does it now and then.
  void tidy();

 private:
  // Times in keys, both ends included.
  struct Span {
    uint64_t from = 0;
    uint64_t to = UINT64_MAX;
  };
  using Wanted = std::function<bool(const StoredSummary&)>;
  // The last (first) span between the two that may hold what is wanted: one whose summary says so,
  // or for which there is no summary.
  Result<std::optional<Span>> spanBefore(uint64_t from, uint64_t to, const Wanted& wanted) const;
  Result<std::optional<Span>> spanBehind(uint64_t from, const Wanted& wanted) const;
  // Calls visit(place, event) for all of a span, the oldest first.
  using Visit = std::function<void(TrackPlace, const TrackEvent&)>;
  Result<void> scan(const Span& span, const Visit& visit) const;
  void dropUpTo(const Store::Reading& store, uint64_t key_us);
  uint64_t oldestKept() const;
  void keep();

  const Store& store_;
  const QueueOptions& options_;
  std::atomic<uint64_t> bytes_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;  // guarded by mutex_
  std::thread keeper_;
};

}  // namespace sluice::queue
