// A taken group as delivery sees it, and the way to its content.
#pragma once

#include <memory>

#include "queue/queue.h"
#include "queue/queued_message.h"

namespace sluice::queue {

class ShardQueueImpl;

// Reads chunks of a message from memory or from disk.
class QueuedContent final : public Content {
 public:
  QueuedContent(ShardQueueImpl& queue, QueuedMessage& message);
  ~QueuedContent() override;
  uint64_t size() const override { return message_.envelope->content_bytes; }
  size_t chunks() const override { return message_.chunks; }
  void chunk(size_t index, Done done) override;
  const std::vector<Slice>* inMemory() const override {
    return message_.content_in_memory ? &message_.content : nullptr;
  }

 private:
  ShardQueueImpl& queue_;
  QueuedMessage& message_;  // pinned by the Work
  std::shared_ptr<bool> alive_;
};

class QueuedWork final : public Work {
 public:
  QueuedWork(ShardQueueImpl& queue, QueuedGroup& group);
  ~QueuedWork() override;  // puts the group back, unless released
  const MessageId& id() const override { return group_->message->id; }
  const QueueKey& key() const override;
  const Envelope& envelope() const override { return *group_->message->envelope; }
  std::span<const uint16_t> recipients() const override { return group_->recipients; }
  const AttemptRecord& attempts() const override { return group_->attempts; }
  Content& content() override { return content_; }
  void track(const TrackEvent& event) override;

  // For settling: the Work is at an end, the group stays active.
  QueuedGroup& release();
  Tracks takeTracks() { return std::move(tracks_); }

 private:
  ShardQueueImpl& queue_;
  QueuedGroup* group_;
  QueuedContent content_;
  Tracks tracks_;
};

}  // namespace sluice::queue
