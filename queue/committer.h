// Group commit: one thread that owns all writes to the store.
//
// A batch is whatever came while the previous one was written. A batch with an accepted message in
// it is synced before anyone is told; one without (removals, deferrals) is written at once and
// synced within kSyncWithin, alone or with the next.
//
// Clients that were answered together come back together. So a batch waits for as many accepts as
// the last one had, until the time that the last one took has passed since: they share a sync
// again. A lone client never waits, nor does who comes after a pause.
//
// After any failed write or sync nothing is believed of that log: the store is closed and opened
// again, steps that must happen are repeated by their net effect, accepts are removed and answered
// with the error. Whoever is answered before that has succeeded is noted as refused first.
#pragma once

#include <rocksdb/write_batch.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "net/loop.h"
#include "queue/queue_metrics.h"
#include "queue/refusals.h"
#include "queue/step.h"
#include "queue/store.h"
#include "queue/track_writer.h"

namespace sluice::queue {

class Committer {
 public:
  static constexpr size_t kMaxBatchBytes = 8 << 20;
  static constexpr size_t kMaxBatchSteps = 2048;
  static constexpr std::chrono::milliseconds kSyncWithin{500};  // documented: a second
  static constexpr std::chrono::milliseconds kMostGathering{5};
  // No more are waited for: two halves of many clients, one at the disk and one at the CPU, are
  // quicker than all of them at either.
  static constexpr size_t kEnoughTogether = 8;
  static constexpr size_t kMaxUnsyncedBytes = 4 << 20;
  static constexpr std::chrono::milliseconds kAnswerWithin{5000};  // when the store stays shut
  static constexpr std::chrono::milliseconds kFirstRetry{50};
  static constexpr std::chrono::milliseconds kLastRetry{2000};

  // `loops` get the completions of their shards' steps. All arguments outlive the committer.
  Committer(Store& store, Refusals& refusals, std::span<net::Loop* const> loops,
            QueueMetrics& metrics, std::function<void(const StoreEvent&)> on_event,
            const Clock& clock = Clock::system());
  ~Committer();

  // From the shard's loop. Steps of one shard are written in their order.
  void submit(size_t shard, std::unique_ptr<Step> step);
  // A step of no shard's; on_done runs on the committer's thread. Any thread.
  void submitApart(std::unique_ptr<Step> step) { submit(loops_.size(), std::move(step)); }
  // Writes and syncs, waiting for it. Any thread but a loop's. Errors: Timeout (it is still going
  // to be written).
  Result<void> writeNow(Ops ops, std::chrono::milliseconds timeout);

  // Runs `task` on the committer's thread, with no write and no reader beside it. Any thread.
  void runAlone(Task task);

  // Counts the failures of the log.
  uint64_t epoch() const { return epoch_.load(std::memory_order_acquire); }
  bool writable() const { return writable_.load(std::memory_order_acquire); }
  std::string whyNotWritable() const;

  // Writes what waits, syncs, and ends the thread.
  void close();

 private:
  struct Waiting {
    size_t shard = 0;
    std::unique_ptr<Step> step;
  };
  struct Lane {
    std::mutex mutex;
    std::vector<std::unique_ptr<Step>> steps;
  };
  // The last word on one key, out of several steps.
  struct NetEffect {
    bool put = false;
    std::string value;
  };
  using NetEffects = std::map<std::pair<Family, std::string>, NetEffect>;

  void run();
  void collect();
  bool runTaskAlone();
  void waitForWork();
  void gather();
  std::vector<Waiting> nextBatch();
  void commit(std::vector<Waiting> batch);
  void syncIfDue();
  bool turnedDown(Step& step);
  void undoIfAbandoned(Step& step);
  bool appendTo(rocksdb::WriteBatch& batch, const Ops& ops);
  void remember(std::vector<Waiting>& batch);
  void keepUnsynced(Ops ops);
  void complete(std::vector<Waiting> batch);

  void onFailure(std::vector<Waiting> batch, const rocksdb::Status& status);
  void turnAway(std::vector<Waiting>& from);
  void answerEarly();
  void noteRefused(std::vector<Waiting>& answered);
  void recover();
  rocksdb::Status repeatNetEffects();
  void addEffects(const Ops& ops, bool undo);
  void tell(StoreEvent::What what, std::string detail);

  Store& store_;
  Refusals& refusals_;
  std::vector<net::Loop*> loops_;
  QueueMetrics& metrics_;
  std::function<void(const StoreEvent&)> on_event_;
  const Clock& clock_;

  std::vector<std::unique_ptr<Lane>> lanes_;  // one a shard, and one for writeNow()
  std::atomic<size_t> submitted_{0};          // in lanes, not yet collected
  std::atomic<size_t> wake_at_{1};            // so many wake the committer
  std::atomic<bool> sleeping_{false};
  std::atomic<bool> closing_{false};
  std::mutex wake_mutex_;
  Task alone_;  // guarded by wake_mutex_
  std::condition_variable wake_;

  // The committer thread's own.
  std::deque<Waiting> backlog_;
  size_t expected_ = 0;  // messages that may come until gather_until_, if they come as before
  SteadyTime gather_until_{};
  rocksdb::WriteBatch batch_;
  std::vector<rocksdb::Slice> parts_;
  TrackWriter tracks_;
  std::vector<Ops> unsynced_;  // written since the last sync; to be repeated if it fails
  size_t unsynced_bytes_ = 0;
  SteadyTime unsynced_since_{};
  NetEffects effects_;            // to be brought about when the store is open again
  std::vector<Waiting> failed_;   // steps to be answered then
  std::vector<MessageId> noted_;  // as refused, until then
  SteadyTime failed_at_{};
  SteadyTime next_try_{};
  std::chrono::milliseconds retry_after_{kFirstRetry};

  std::atomic<uint64_t> epoch_{0};
  std::atomic<bool> writable_{true};
  mutable std::mutex why_mutex_;
  std::string why_;  // guarded by why_mutex_
  Errc why_code_ = Errc::Io;
  std::thread thread_;
};

}  // namespace sluice::queue
