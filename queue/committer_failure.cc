// What the committer does when a write or a sync fails: nothing written since the last good sync is
// believed, the store is opened again, and every step gets the one outcome it must have.
#include "queue/committer.h"

namespace sluice::queue {
namespace {

SteadyTime steadyNow() { return std::chrono::steady_clock::now(); }

// True if its shard has given it up during the writing. If not, it cannot any more.
bool isGivenUp(Step& step) {
  return step.begun && !step.move(Step::Fate::Writing, Step::Fate::Decided) &&
         step.fate.load(std::memory_order_acquire) == Step::Fate::Abandoned;
}

}  // namespace

void Committer::tell(StoreEvent::What what, std::string detail) {
  if (on_event_) on_event_({what, "", std::move(detail)});
}

void Committer::onFailure(std::vector<Waiting> batch, const rocksdb::Status& status) {
  metrics_.write_failures.add();
  epoch_.fetch_add(1, std::memory_order_acq_rel);
  {
    const std::lock_guard lock(why_mutex_);
    why_ = "the queue's log failed: " + status.ToString();
    why_code_ = errcOf(status) == Errc::NoSpace ? Errc::NoSpace : Errc::Io;
  }
  writable_.store(false, std::memory_order_release);
  tell(StoreEvent::What::WriteFailed, status.ToString());
  for (const Ops& ops : unsynced_) addEffects(ops, false);
  unsynced_.clear();
  unsynced_bytes_ = 0;
  Tracks again;
  for (Waiting& waiting : batch) {
    Step& step = *waiting.step;
    addEffects(step.undo, false);
    if (step.error) continue;  // turned down
    addEffects(step.ops, !step.mustHappen());
    if (step.mustHappen()) again.events += step.tracks.events;
    if (!step.mustHappen()) step.error = Error{why_code_, whyNotWritable()};
  }
  addEffects(tracks_.failed(again), false);
  for (Waiting& waiting : batch) failed_.push_back(std::move(waiting));
  failed_at_ = steadyNow();
  next_try_ = failed_at_;
  retry_after_ = kFirstRetry;
}

// The last step that names a key decides; an undone one leaves nothing.
void Committer::addEffects(const Ops& ops, bool undo) {
  ops.forEach([&](const Ops::Op& op) {
    NetEffect& effect = effects_[{op.family, std::string(op.key)}];
    effect.put = op.put && !undo;
    effect.value.clear();
    if (!effect.put) return;
    effect.value = op.value;
    for (size_t i = 0; i < op.slices_count; ++i)
      effect.value += ops.slices()[op.slices_from + i].bytes;
  });
}

// While the store is shut: accepts get their answer at once, what must happen waits.
void Committer::turnAway(std::vector<Waiting>& from) {
  std::vector<Waiting> answered;
  Tracks again;
  for (Waiting& waiting : from) {
    Step& step = *waiting.step;
    addEffects(step.undo, false);
    if (step.mustHappen()) {
      addEffects(step.ops, false);
      again.events += step.tracks.events;
      failed_.push_back(std::move(waiting));
    } else {
      step.error = Error{why_code_, whyNotWritable()};
      answered.push_back(std::move(waiting));
    }
  }
  addEffects(tracks_.failed(again), false);
  complete(std::move(answered));
}

void Committer::recover() {
  const auto opened = store_.reopen();
  rocksdb::Status repeated;
  if (opened) repeated = repeatNetEffects();
  if (opened && repeated.ok()) {
    effects_.clear();
    store_.admitReaders();
    metrics_.reopens.add();
    writable_.store(true, std::memory_order_release);
    for (const MessageId& id : noted_) refusals_.forget(id);
    noted_.clear();
    for (Waiting& waiting : failed_)
      if (isGivenUp(*waiting.step)) refusals_.forget(waiting.step->id);
    complete(std::move(failed_));
    failed_.clear();
    return tell(StoreEvent::What::Reopened, "");
  }
  const std::string why = opened ? repeated.ToString() : opened.error().detail;
  tell(StoreEvent::What::ReopenFailed, why);
  next_try_ = steadyNow() + retry_after_;
  retry_after_ = std::min(retry_after_ * 2, kLastRetry);
  if (steadyNow() >= failed_at_ + kAnswerWithin || closing_) answerEarly();
}

// Whoever waits for a 250 has waited long enough. Its removal stays among the effects.
void Committer::answerEarly() {
  std::vector<Waiting> answered, kept;
  for (Waiting& waiting : failed_)
    (waiting.step->error ? answered : kept).push_back(std::move(waiting));
  failed_ = std::move(kept);
  noteRefused(answered);
  complete(std::move(answered));
}

// The log of the failed write may hold them, and may be replayed before they are removed.
void Committer::noteRefused(std::vector<Waiting>& answered) {
  std::vector<MessageId> ids;
  std::vector<Step*> steps;
  for (Waiting& waiting : answered) {
    Step& step = *waiting.step;
    if (!step.begun) continue;
    noted_.push_back(step.id);
    if (isGivenUp(step)) continue;  // its shard notes it
    ids.push_back(step.id);
    steps.push_back(&step);
  }
  if (ids.empty() || refusals_.note(ids)) return;
  for (Step* step : steps) step->error->code = Errc::Cancelled;
}

// What the reopened log already holds is left alone: a key is put once and removed once.
rocksdb::Status Committer::repeatNetEffects() {
  rocksdb::WriteBatch batch;
  const rocksdb::ReadOptions options;
  for (const auto& [at, effect] : effects_) {
    auto* family = store_.family(at.first);
    rocksdb::PinnableSlice found;
    const auto status = store_.db()->Get(options, family, sliceOf(at.second), &found);
    if (!status.ok() && !status.IsNotFound()) return status;
    if (at.first == Family::Settings) {
      effect.put ? batch.Put(family, sliceOf(at.second), sliceOf(effect.value))
                 : batch.Delete(family, sliceOf(at.second));
    } else if (effect.put && status.IsNotFound()) {
      batch.Put(family, sliceOf(at.second), sliceOf(effect.value));
    } else if (!effect.put && status.ok()) {
      batch.SingleDelete(family, sliceOf(at.second));
    }
  }
  rocksdb::WriteOptions sync;
  sync.sync = true;
  return store_.db()->Write(sync, &batch);
}

}  // namespace sluice::queue
