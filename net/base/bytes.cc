#include "net/base/bytes.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

namespace sluice {

BlockRef::BlockRef(const BlockRef& other) : block_(other.block_) {
  if (block_) block_->owners_.fetch_add(1, std::memory_order_relaxed);
}

BlockRef::~BlockRef() {
  if (block_ && block_->owners_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    block_->~Block();
    std::free(block_);
  }
}

BlockRef Block::allocate(size_t capacity_bytes) {
  void* memory = std::malloc(sizeof(Block) + capacity_bytes);
  if (!memory) throw std::bad_alloc();
  return BlockRef(new (memory) Block(capacity_bytes));
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
