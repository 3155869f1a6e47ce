#include "net/base/bytes.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <new>

namespace sluice {
namespace {

// Blocks come and go with each message, in few sizes. A thread keeps some of those it let go of:
// for a general allocator a few KiB are much, and each of them makes it put its small pieces in
// order.
class SpareBlocks {
 public:
  static constexpr size_t kStep = 1024;       // sizes are rounded up to whole ones
  static constexpr size_t kLargest = 16;      // in steps; what is larger is not kept
  static constexpr size_t kMostOfASize = 16;  // 2 MiB a thread in all, where every size is in use

  ~SpareBlocks() {
    for (Size& size : sizes_)
      while (size.count > 0) std::free(size.spares[--size.count]);
    gone_ = true;
  }
  // None at the thread's end, and none where a sanitizer is to see who uses what was let go of.
  static SpareBlocks* ofThisThread() {
#ifdef __SANITIZE_ADDRESS__
    return nullptr;
#else
    static thread_local SpareBlocks spares;
    return gone_ ? nullptr : &spares;
#endif
  }

  void* take(size_t bytes) {
    if (bytes > kLargest * kStep) return nullptr;
    Size& size = sizes_[(bytes - 1) / kStep];
    return size.count == 0 ? nullptr : size.spares[--size.count];
  }
  bool keep(void* memory, size_t bytes) {
    if (bytes > kLargest * kStep) return false;
    Size& size = sizes_[(bytes - 1) / kStep];
    if (size.count == kMostOfASize) return false;
    size.spares[size.count++] = memory;
    return true;
  }

 private:
  struct Size {
    std::array<void*, kMostOfASize> spares;
    size_t count = 0;
  };
  std::array<Size, kLargest> sizes_{};
  static thread_local bool gone_;  // blocks that die with the thread come after it
};

thread_local bool SpareBlocks::gone_ = false;

size_t rounded(size_t bytes) {
  return (bytes + SpareBlocks::kStep - 1) / SpareBlocks::kStep * SpareBlocks::kStep;
}

}  // namespace

BlockRef::BlockRef(const BlockRef& other) : block_(other.block_) {
  if (block_) block_->owners_.fetch_add(1, std::memory_order_relaxed);
}

BlockRef::~BlockRef() {
  if (block_ && block_->owners_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    const size_t bytes = sizeof(Block) + block_->capacity();
    block_->~Block();
    SpareBlocks* spares = SpareBlocks::ofThisThread();
    if (!spares || !spares->keep(block_, bytes)) std::free(block_);
  }
}

BlockRef Block::allocate(size_t capacity_bytes) {
  const size_t bytes = rounded(sizeof(Block) + capacity_bytes);
  SpareBlocks* spares = SpareBlocks::ofThisThread();
  void* memory = spares ? spares->take(bytes) : nullptr;
  if (!memory) memory = std::malloc(bytes);
  if (!memory) throw std::bad_alloc();
  return BlockRef(new (memory) Block(bytes - sizeof(Block)));
}

BlockRef Block::copyOf(std::string_view bytes) {
  BlockRef block = allocate(bytes.size());
  if (!bytes.empty()) std::memcpy(block->end(), bytes.data(), bytes.size());
  block->wrote(bytes.size());
  return block;
}

size_t ByteChain::clampBlock(size_t bytes) {
  return std::clamp(bytes, kMinBlockBytes, kMaxBlockBytes);
}

void ByteChain::append(std::string_view bytes) {
  while (!bytes.empty()) {
    if (!tail_ || tail_->room() == 0) {
      tail_ = Block::allocate(clampBlock(std::max(next_block_bytes_, bytes.size())));
      next_block_bytes_ = clampBlock(tail_->capacity() * 2);
    }
    const size_t count = std::min(tail_->room(), bytes.size());
    char* at = tail_->end();
    std::memcpy(at, bytes.data(), count);
    tail_->wrote(count);
    size_ += count;
    if (!slices_.empty() && slices_.back().bytes.data() + slices_.back().bytes.size() == at) {
      Slice& last = slices_.back();
      last.bytes = {last.bytes.data(), last.bytes.size() + count};
    } else {
      slices_.push_back({tail_, {at, count}});
    }
    bytes.remove_prefix(count);
  }
}

void ByteChain::append(Slice slice) {
  size_ += slice.bytes.size();
  if (!slice.bytes.empty()) slices_.push_back(std::move(slice));
}

void ByteChain::clear() {
  slices_.clear();
  tail_ = BlockRef();
  size_ = 0;
}

void ByteChain::dropFront(size_t bytes) {
  size_ -= bytes;
  size_t whole = 0;
  while (whole < slices_.size() && bytes >= slices_[whole].bytes.size()) {
    bytes -= slices_[whole++].bytes.size();
  }
  slices_.erase(slices_.begin(), slices_.begin() + static_cast<std::ptrdiff_t>(whole));
  if (bytes > 0) slices_.front().bytes.remove_prefix(bytes);
}

void ByteChain::keepFront(size_t bytes) {
  size_ = bytes;
  size_t kept = 0;
  while (bytes > 0) {
    Slice& slice = slices_[kept++];
    if (bytes < slice.bytes.size()) slice.bytes = slice.bytes.substr(0, bytes);
    bytes -= slice.bytes.size();
  }
  slices_.resize(kept);
  tail_ = BlockRef();  // its written end is no longer ours
}

std::string ByteChain::flatten() const {
  std::string out;
  out.reserve(size_);
  for (const Slice& slice : slices_) out.append(slice.bytes);
  return out;
}

}  // namespace sluice
