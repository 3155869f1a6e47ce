#include "net/base/bytes.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <thread>

namespace sluice {
namespace {

TEST(Block, IsEmptyAndLargeEnoughWhoeverHadItsMemoryBefore) {
  for (const size_t bytes : {1u, 100u, 1000u, 1024u, 4096u, 16'000u, 16'384u, 300'000u}) {
    for (int round = 0; round < 50; ++round) {
      BlockRef block = Block::allocate(bytes);
      ASSERT_EQ(block->size(), 0u);
      ASSERT_GE(block->room(), bytes);
      std::memset(block->end(), 'x', block->room());
      block->wrote(bytes);
    }
  }
}

TEST(Block, SharesItsMemoryWithNoOther) {
  std::mt19937 random(20261124);
  std::vector<std::pair<BlockRef, std::string>> blocks;
  for (int round = 0; round < 5'000; ++round) {
    if (blocks.size() > 100 || (!blocks.empty() && random() % 3 == 0)) {
      const size_t at = random() % blocks.size();
      ASSERT_EQ(blocks[at].first->view(), blocks[at].second);
      blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(at));
    }
    std::string bytes(random() % 9'000, static_cast<char>('a' + round % 26));
    blocks.emplace_back(Block::copyOf(bytes), bytes);
  }
}

TEST(Block, MayEndOnAnotherThreadThanItBegan) {
  std::vector<BlockRef> blocks;
  for (int i = 0; i < 100; ++i) blocks.push_back(Block::copyOf("from here"));
  std::thread([theirs = std::move(blocks)]() mutable {
    for (BlockRef& block : theirs) {
      ASSERT_EQ(block->view(), "from here");
      block = Block::copyOf("from there");
    }
  }).join();
}

TEST(ByteChain, DropsAndKeepsAtItsEnds) {
  ByteChain chain;
  std::string all;
  for (int i = 0; i < 40; ++i) {
    const std::string piece(static_cast<size_t>(i) * 37, static_cast<char>('a' + i % 26));
    chain.append(piece);
    all += piece;
  }
  EXPECT_EQ(chain.flatten(), all);
  const ByteChain copy = chain;
  chain.dropFront(5'000);
  chain.keepFront(10'000);
  EXPECT_EQ(chain.flatten(), all.substr(5'000, 10'000));
  chain.append("more");
  EXPECT_EQ(chain.flatten(), all.substr(5'000, 10'000) + "more");
  EXPECT_EQ(copy.flatten(), all);
}

}  // namespace
}  // namespace sluice
