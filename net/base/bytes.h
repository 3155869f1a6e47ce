// Bytes that several owners share without copying: blocks, slices of them, and chains of slices.
//
// A Block is written by one owner at its end and read by many; bytes once written never change.
// Reference counts are atomic: a shard, the committer and another shard may hold the same block.
// A ByteChain itself belongs to one thread at a time.
#pragma once

#include <atomic>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice {

class Block;

// Counts as one owner of a Block.
class BlockRef {
 public:
  BlockRef() = default;
  BlockRef(const BlockRef& other);
  BlockRef(BlockRef&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  BlockRef& operator=(BlockRef other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~BlockRef();
  Block* operator->() const { return block_; }
  Block& operator*() const { return *block_; }
  explicit operator bool() const { return block_ != nullptr; }

 private:
  friend class Block;
  explicit BlockRef(Block* block) : block_(block) {}
  Block* block_ = nullptr;
};

// A fixed piece of memory of which the first size() bytes are written.
class Block {
 public:
  static BlockRef allocate(size_t capacity_bytes);
  static BlockRef copyOf(std::string_view bytes);

  char* data() { return reinterpret_cast<char*>(this + 1); }
  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }
  size_t room() const { return capacity_ - size_; }
  // Where the owner that writes may put up to room() bytes; wrote() then says how many it put.
  char* end() { return data() + size_; }
  void wrote(size_t bytes) { size_ += bytes; }
  std::string_view view() { return {data(), size_}; }

 private:
  friend class BlockRef;
  explicit Block(size_t capacity) : capacity_(capacity) {}
  std::atomic<unsigned> owners_{1};
  size_t size_ = 0;
  size_t capacity_;
};

// A run of bytes inside a block, kept alive by it.
struct Slice {
  BlockRef block;
  std::string_view bytes;
};

// A sequence of bytes in slices. Appended bytes are copied into blocks of the chain's own, which
// double in size up to kMaxBlockBytes; appended slices are shared.
class ByteChain {
 public:
  static constexpr size_t kMinBlockBytes = 1024;
  static constexpr size_t kMaxBlockBytes = 256 * 1024;

  ByteChain() = default;
  // `expected_bytes` sizes the first block, e.g. by what MAIL's SIZE announced.
  explicit ByteChain(size_t expected_bytes) : next_block_bytes_(clampBlock(expected_bytes)) {}
  ByteChain(ByteChain&&) = default;
  ByteChain& operator=(ByteChain&&) = default;
  // Copies share the blocks, but only the original may go on writing into its last one.
  ByteChain(const ByteChain& other) : slices_(other.slices_), size_(other.size_) {}
  ByteChain& operator=(const ByteChain& other) {
    if (this != &other) *this = ByteChain(other);
    return *this;
  }

  void append(std::string_view bytes);
  void append(Slice slice);
  void clear();
  void dropFront(size_t bytes);  // at most size()
  void keepFront(size_t bytes);  // drops what is behind the first `bytes`

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const std::vector<Slice>& slices() const { return slices_; }
  std::string flatten() const;

 private:
  static size_t clampBlock(size_t bytes);
  std::vector<Slice> slices_;
  BlockRef tail_;  // the block that append() writes into
  size_t size_ = 0;
  size_t next_block_bytes_ = kMinBlockBytes;
};

}  // namespace sluice
