// The content of a message on its way in, over the threshold written ahead of its commit.
#pragma once

#include <memory>

#include "queue/queue.h"
#include "queue/step.h"

namespace sluice::queue {

class ShardQueueImpl;

class IncomingMessage final : public Incoming {
 public:
  static constexpr size_t kMostOutstanding = 2;  // chunks handed to the committer, not yet written
  // Under pressure smaller pieces go to disk too, so that memory comes free.
  static constexpr size_t kPressedChunkBytes = 16 * 1024;

  IncomingMessage(ShardQueueImpl& queue, MessageId id, uint64_t expected_bytes);
  ~IncomingMessage() override;

  const MessageId& id() const override { return id_; }
  void append(std::string_view bytes) override;
  uint64_t size() const override { return size_; }
  bool congested() const override;
  void onRelieved(Task on_relieved) override;
  void setOrigin(Origin origin) override { origin_ = std::move(origin); }
  const Origin& origin() const { return origin_; }

  // For the commit, which takes everything: afterwards nothing is left to be cleaned up.
  struct Parts {
    std::vector<Slice> rest;  // what is not on disk yet
    uint32_t early_chunks = 0;
    bool failed = false;            // a chunk could not be written
    Ops undo;                       // removes what is on disk already
    std::optional<uint64_t> epoch;  // of the committer, at the first chunk
  };
  Parts takeParts();
  // If the pressure is gone, tells who waits.
  void relieve();

 private:
  // What a chunk's completion may still find when the message is gone.
  struct Link {
    IncomingMessage* message = nullptr;
  };
  void writeChunk();
  void onChunkWritten(const Step& step);
  Ops removal() const;

  ShardQueueImpl& queue_;
  const MessageId id_;
  const uint64_t expected_bytes_;
  ByteChain rest_;
  uint64_t size_ = 0;
  uint32_t early_chunks_ = 0;
  size_t outstanding_ = 0;
  std::optional<uint64_t> epoch_;
  bool failed_ = false;
  Task on_relieved_;
  Origin origin_;
  std::shared_ptr<Link> link_;
};

}  // namespace sluice::queue
