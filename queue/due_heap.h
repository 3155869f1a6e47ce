// Keys by the time at which their next waiting group is due. A binary heap that knows where each
// key stands in it, so that a changed time costs a few moves and no search.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sluice::queue {

class KeyQueue;

class DueHeap {
 public:
  bool empty() const { return keys_.empty(); }
  KeyQueue& top() const { return *keys_.front(); }
  // By `earliest_due_us` of the key: puts it in, moves it, or takes it out (kNeverDue).
  void update(KeyQueue& key);
  void remove(KeyQueue& key);

 private:
  void up(size_t at);
  void down(size_t at);
  void swap(size_t a, size_t b);
  bool before(size_t a, size_t b) const;
  std::vector<KeyQueue*> keys_;
};

}  // namespace sluice::queue
