// How content is found for an attempt.
#include "queue/work.h"

#include "queue/key_queue.h"
#include "queue/shard_queue.h"

namespace sluice::queue {

QueuedContent::QueuedContent(ShardQueueImpl& queue, QueuedMessage& message)
    : queue_(queue), message_(message), alive_(std::make_shared<bool>(true)) {}

QueuedContent::~QueuedContent() { *alive_ = false; }

void QueuedContent::chunk(size_t index, Done done) {
  if (message_.content_in_memory && index == 0) return done(message_.content);
  if (index >= message_.chunks) return done(fail(Errc::InvalidArgument, "no such chunk"));
  auto then = [this, index, alive = alive_,
               done = std::move(done)](Result<std::vector<Slice>> slices) mutable {
    if (!*alive) return;
    if (slices && index == 0) putFieldsInFront(*message_.envelope, *slices);
    done(std::move(slices));
  };
  queue_.readChunk(message_, static_cast<uint32_t>(index), std::move(then));
}

QueuedWork::QueuedWork(ShardQueueImpl& queue, QueuedGroup& group)
    : queue_(queue), group_(&group), content_(queue, *group.message) {}

QueuedWork::~QueuedWork() {
  if (group_) queue_.putBack(*group_);
}

const QueueKey& QueuedWork::key() const { return group_->queue->key; }

void QueuedWork::track(const TrackEvent& event) {
  if (queue_.isTracking()) appendTrack(tracks_, event);
}

QueuedGroup& QueuedWork::release() { return *std::exchange(group_, nullptr); }

}  // namespace sluice::queue
