// How content moves from a session's memory to disk while it arrives.
#include "queue/incoming.h"

#include <algorithm>

#include "queue/shard_queue.h"

namespace sluice::queue {

IncomingMessage::IncomingMessage(ShardQueueImpl& queue, MessageId id, uint64_t expected_bytes)
    : queue_(queue),
      id_(id),
      expected_bytes_(expected_bytes),
      rest_(std::min<uint64_t>(expected_bytes + 512, kChunkBytes)),
      link_(std::make_shared<Link>()) {
  link_->message = this;
  queue_.context_.promised_bytes.fetch_add(static_cast<int64_t>(expected_bytes_),
                                           std::memory_order_relaxed);
}

IncomingMessage::~IncomingMessage() {
  link_->message = nullptr;
  std::erase(queue_.congested_, this);
  queue_.context_.promised_bytes.fetch_sub(static_cast<int64_t>(expected_bytes_),
                                           std::memory_order_relaxed);
  queue_.context_.budget.received(-static_cast<int64_t>(rest_.size()));
  if (early_chunks_ == 0) return;
  auto step = std::make_unique<Step>();
  step->ops = removal();
  queue_.submitStep(std::move(step));
}

void IncomingMessage::append(std::string_view bytes) {
  size_ += bytes.size();
  while (!bytes.empty()) {
    // A chunk is handed over when more comes behind it: what fits into one never leaves memory.
    if (rest_.size() == kChunkBytes) writeChunk();
    const size_t count = std::min(bytes.size(), kChunkBytes - rest_.size());
    rest_.append(bytes.substr(0, count));
    queue_.context_.budget.received(static_cast<int64_t>(count));
    bytes.remove_prefix(count);
  }
  if (rest_.size() >= kPressedChunkBytes && outstanding_ == 0 &&
      queue_.context_.budget.incomingPressed())
    writeChunk();
}

bool IncomingMessage::congested() const {
  if (outstanding_ >= kMostOutstanding) return true;
  return outstanding_ > 0 && queue_.context_.budget.incomingPressed();
}

void IncomingMessage::onRelieved(Task on_relieved) {
  std::erase(queue_.congested_, this);
  on_relieved_ = std::move(on_relieved);
  queue_.congested_.push_back(this);
  if (!queue_.relief_.armed())
    queue_.relief_.arm(queue_.loop_.deadlines(), ShardQueueImpl::kReliefEvery);
}

void IncomingMessage::relieve() {
  if (congested() || !on_relieved_) return;
  std::erase(queue_.congested_, this);
  Task task = std::move(on_relieved_);
  on_relieved_ = nullptr;
  task();
}

void IncomingMessage::writeChunk() {
  auto step = std::make_unique<Step>();
  step->kind = Step::Kind::Chunk;
  if (early_chunks_ == 0) step->ops.put(Family::Partial, id_.bytes(), std::string_view());
  const size_t bytes = rest_.size();
  step->ops.put(Family::Content, contentKey(id_, early_chunks_), rest_.slices());
  step->on_done = [link = link_, bytes, &budget = queue_.context_.budget](Step& written) {
    budget.received(-static_cast<int64_t>(bytes));
    if (link->message) link->message->onChunkWritten(written);
  };
  if (early_chunks_ == 0) epoch_ = queue_.context_.committer->epoch();
  ++early_chunks_;
  ++outstanding_;
  rest_ = ByteChain(kChunkBytes);
  queue_.submitStep(std::move(step));
}

void IncomingMessage::onChunkWritten(const Step& step) {
  --outstanding_;
  failed_ |= step.error.has_value();
  relieve();
}

Ops IncomingMessage::removal() const {
  Ops ops;
  for (uint32_t chunk = 0; chunk < early_chunks_; ++chunk)
    ops.remove(Family::Content, contentKey(id_, chunk));
  ops.remove(Family::Partial, id_.bytes());
  return ops;
}

IncomingMessage::Parts IncomingMessage::takeParts() {
  Parts parts;
  parts.early_chunks = early_chunks_;
  parts.failed = failed_;
  parts.epoch = epoch_;
  if (early_chunks_ > 0) parts.undo = removal();
  if (failed_) return parts;  // the destructor removes what is there
  parts.rest = rest_.slices();
  early_chunks_ = 0;
  return parts;
}

}  // namespace sluice::queue
