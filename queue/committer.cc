// How waiting steps become synced batches, and what happens when the disk fails.
#include "queue/committer.h"

#include <rocksdb/perf_level.h>

#include <algorithm>
#include <future>

namespace sluice::queue {
namespace {

SteadyTime steadyNow() { return std::chrono::steady_clock::now(); }

double secondsBetween(SteadyTime from, SteadyTime to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

Committer::Committer(Store& store, Refusals& refusals, std::span<net::Loop* const> loops,
                     QueueMetrics& metrics, std::function<void(const StoreEvent&)> on_event,
                     const Clock& clock)
    : store_(store),
      refusals_(refusals),
      loops_(loops.begin(), loops.end()),
      metrics_(metrics),
      on_event_(std::move(on_event)),
      clock_(clock),
      tracks_(store, clock) {
  for (size_t i = 0; i <= loops_.size(); ++i) lanes_.push_back(std::make_unique<Lane>());
  thread_ = std::thread([this] { run(); });
}

Committer::~Committer() { close(); }

void Committer::submit(size_t shard, std::unique_ptr<Step> step) {
  Lane& lane = *lanes_[shard];
  {
    const std::lock_guard lock(lane.mutex);
    lane.steps.push_back(std::move(step));
    submitted_.fetch_add(1, std::memory_order_seq_cst);
  }
  if (sleeping_.load(std::memory_order_seq_cst) && submitted_.load() >= wake_at_.load()) {
    const std::lock_guard lock(wake_mutex_);
    wake_.notify_one();
  }
}

Result<void> Committer::writeNow(Ops ops, std::chrono::milliseconds timeout) {
  auto written = std::make_shared<std::promise<void>>();
  auto future = written->get_future();
  auto step = std::make_unique<Step>();
  step->kind = Step::Kind::Remove;
  step->ops = std::move(ops);
  step->on_done = [written](Step&) { written->set_value(); };
  submit(loops_.size(), std::move(step));
  if (future.wait_for(timeout) == std::future_status::timeout)
    return fail(Errc::Timeout, "the store does not take commits at the moment");
  return {};
}

void Committer::runAlone(Task task) {
  const std::lock_guard lock(wake_mutex_);
  alone_ = std::move(task);
  wake_.notify_one();
}

bool Committer::runTaskAlone() {
  Task task;
  {
    const std::lock_guard lock(wake_mutex_);
    std::swap(task, alone_);
  }
  if (!task || closing_) return false;
  store_.shut();
  task();
  store_.admitReaders();
  return true;
}

std::string Committer::whyNotWritable() const {
  const std::lock_guard lock(why_mutex_);
  return why_;
}

void Committer::close() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(wake_mutex_);
    closing_ = true;
    wake_.notify_one();
  }
  thread_.join();
}

void Committer::run() {
  rocksdb::SetPerfLevel(rocksdb::PerfLevel::kDisable);  // counts each comparison of keys otherwise
  while (true) {
    collect();
    if (!writable()) {
      if (!backlog_.empty()) {
        std::vector<Waiting> rest(std::make_move_iterator(backlog_.begin()),
                                  std::make_move_iterator(backlog_.end()));
        backlog_.clear();
        turnAway(rest);
      }
      if (closing_ || steadyNow() >= next_try_) recover();
      if (closing_ && !writable()) break;
      if (!writable()) waitForWork();
      continue;
    }
    if (runTaskAlone()) continue;
    gather();
    auto batch = nextBatch();
    if (!batch.empty()) {
      commit(std::move(batch));
    } else if (closing_) {
      unsynced_since_ = {};
      syncIfDue();
      if (writable()) break;
      continue;
    } else {
      syncIfDue();
      if (writable()) waitForWork();
    }
  }
}

void Committer::collect() {
  if (submitted_.load(std::memory_order_seq_cst) == 0) return;
  for (size_t shard = 0; shard < lanes_.size(); ++shard) {
    std::vector<std::unique_ptr<Step>> steps;
    {
      const std::lock_guard lock(lanes_[shard]->mutex);
      steps.swap(lanes_[shard]->steps);
      submitted_.fetch_sub(steps.size(), std::memory_order_seq_cst);
    }
    for (auto& step : steps) backlog_.push_back({shard, std::move(step)});
  }
}

void Committer::waitForWork() {
  std::unique_lock lock(wake_mutex_);
  sleeping_.store(true, std::memory_order_seq_cst);
  const auto has_work = [this] {
    return submitted_.load(std::memory_order_seq_cst) > 0 || closing_ || alone_;
  };
  if (!writable())
    wake_.wait_until(lock, next_try_, has_work);
  else if (!unsynced_.empty())
    wake_.wait_until(lock, unsynced_since_ + kSyncWithin, has_work);
  else
    wake_.wait(lock, has_work);
  sleeping_.store(false, std::memory_order_seq_cst);
}

void Committer::gather() {
  const auto accepts = [this] {
    size_t count = 0;
    for (const Waiting& waiting : backlog_) count += waiting.step->messages;
    return count;
  };
  const size_t enough = std::min(expected_, kEnoughTogether);
  while (!backlog_.empty() && !closing_ && steadyNow() < gather_until_) {
    const size_t there = accepts();
    if (there >= enough) return;
    std::unique_lock lock(wake_mutex_);
    wake_at_ = enough - there;
    sleeping_.store(true, std::memory_order_seq_cst);
    wake_.wait_until(lock, gather_until_,
                     [this] { return submitted_.load() >= wake_at_.load() || closing_; });
    sleeping_.store(false, std::memory_order_seq_cst);
    wake_at_ = 1;
    lock.unlock();
    collect();
  }
}

std::vector<Committer::Waiting> Committer::nextBatch() {
  std::vector<Waiting> batch;
  size_t bytes = 0;
  batch.reserve(std::min(backlog_.size(), kMaxBatchSteps));
  while (!backlog_.empty() && batch.size() < kMaxBatchSteps && bytes < kMaxBatchBytes) {
    bytes += backlog_.front().step->ops.bytes();
    batch.push_back(std::move(backlog_.front()));
    backlog_.pop_front();
  }
  return batch;
}

bool Committer::appendTo(rocksdb::WriteBatch& batch, const Ops& ops) {
  bool good = true;
  ops.forEach([&](const Ops::Op& op) {
    auto* family = store_.family(op.family);
    rocksdb::Status status;
    if (!op.put) {
      // Settings are the one family whose keys are written over.
      status = op.family == Family::Settings ? batch.Delete(family, sliceOf(op.key))
                                             : batch.SingleDelete(family, sliceOf(op.key));
    } else if (op.slices_count == 0) {
      status = batch.Put(family, sliceOf(op.key), sliceOf(op.value));
    } else {
      parts_.clear();
      for (size_t i = 0; i < op.slices_count; ++i)
        parts_.push_back(sliceOf(ops.slices()[op.slices_from + i].bytes));
      const rocksdb::Slice key = sliceOf(op.key);
      status = batch.Put(family, rocksdb::SliceParts(&key, 1),
                         rocksdb::SliceParts(parts_.data(), static_cast<int>(parts_.size())));
    }
    good = good && status.ok();
  });
  return good;
}

// An accept that need not, or must not, be written any more.
bool Committer::turnedDown(Step& step) {
  if (step.kind != Step::Kind::Accept) return false;
  if (step.epoch && *step.epoch != epoch())
    step.error = Error{Errc::Io, "the store failed while the content came in"};
  else if (!step.move(Step::Fate::Open, Step::Fate::Writing))
    step.error = Error{Errc::Timeout, "given up before it was written"};
  step.begun = !step.error;
  return !step.begun;
}

// Given up while we wrote: what was written too late is taken back, first thing in the next batch.
void Committer::undoIfAbandoned(Step& step) {
  if (!step.begun || step.move(Step::Fate::Writing, Step::Fate::Decided)) return;
  step.error = Error{Errc::Timeout, "written too late, and undone"};
  auto undo = std::make_unique<Step>();
  undo->kind = Step::Kind::Remove;
  undo->on_done = [this, id = step.id](Step&) { refusals_.forget(id); };
  if (!step.tracks.empty())
    appendTrack(undo->tracks, {.kind = TrackKind::Undone, .id = step.id, .time = clock_.wall()});
  step.ops.forEach([&](const Ops::Op& op) {
    if (op.put) undo->ops.remove(op.family, op.key);
  });
  step.undo.forEach([&](const Ops::Op& op) {
    if (op.family == Family::Content) undo->ops.remove(op.family, op.key);  // written ahead
  });
  backlog_.push_front({loops_.size(), std::move(undo)});
}

void Committer::commit(std::vector<Waiting> batch) {
  batch_.Clear();
  tracks_.begin();
  bool sync = unsynced_bytes_ > kMaxUnsyncedBytes ||
              (!unsynced_.empty() && steadyNow() >= unsynced_since_ + kSyncWithin);
  uint32_t messages = 0;
  for (Waiting& waiting : batch) {
    Step& step = *waiting.step;
    if (turnedDown(step)) {
      appendTo(batch_, step.undo);
      continue;
    }
    sync |= step.mustSync();
    messages += step.messages;
    appendTo(batch_, step.ops);
    tracks_.add(step.tracks);
  }
  tracks_.putInto(batch_);
  rocksdb::WriteOptions options;
  options.sync = sync;
  const SteadyTime began = steadyNow();
  const rocksdb::Status status = store_.db()->Write(options, &batch_);
  if (!status.ok()) return onFailure(std::move(batch), status);
  const SteadyTime ended = steadyNow();
  if (sync) {
    metrics_.syncs.add();
    unsynced_.clear();
    unsynced_bytes_ = 0;
    expected_ = messages;
    gather_until_ = ended + std::min<SteadyTime::duration>(ended - began, kMostGathering);
  } else {
    remember(batch);
  }
  tracks_.begin();
  if (messages > 0) {
    metrics_.commit_seconds.observe(secondsBetween(began, ended));
    metrics_.commit_messages.observe(messages);
  }
  for (Waiting& waiting : batch) undoIfAbandoned(*waiting.step);
  complete(std::move(batch));
}

// Keeps what was written but not synced, for the case that the sync fails.
void Committer::remember(std::vector<Waiting>& batch) {
  if (unsynced_.empty()) unsynced_since_ = steadyNow();
  for (Waiting& waiting : batch) keepUnsynced(std::move(waiting.step->ops));
  keepUnsynced(tracks_.written());
}

void Committer::keepUnsynced(Ops ops) {
  unsynced_bytes_ += ops.bytes();
  unsynced_.push_back(std::move(ops));
}

void Committer::syncIfDue() {
  if (unsynced_.empty() || steadyNow() < unsynced_since_ + kSyncWithin) return;
  const rocksdb::Status status = store_.db()->SyncWAL();
  if (!status.ok()) return onFailure({}, status);
  metrics_.syncs.add();
  unsynced_.clear();
  unsynced_bytes_ = 0;
}

// One wake-up a shard, however many of its steps were in the batch.
void Committer::complete(std::vector<Waiting> batch) {
  std::vector<std::vector<std::unique_ptr<Step>>> by_shard(lanes_.size());
  for (Waiting& waiting : batch) by_shard[waiting.shard].push_back(std::move(waiting.step));
  for (auto& step : by_shard.back())
    if (step->on_done) step->on_done(*step);
  for (size_t shard = 0; shard < loops_.size(); ++shard) {
    if (by_shard[shard].empty()) continue;
    loops_[shard]->post([steps = std::move(by_shard[shard])]() mutable {
      for (auto& step : steps)
        if (step->on_done) step->on_done(*step);
    });
  }
}

}  // namespace sluice::queue
