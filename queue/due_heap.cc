// The usual binary heap, with positions written back.
#include "queue/due_heap.h"

#include <utility>

#include "queue/key_queue.h"

namespace sluice::queue {

bool DueHeap::before(size_t a, size_t b) const {
  return keys_[a]->earliest_due_us < keys_[b]->earliest_due_us;
}

void DueHeap::swap(size_t a, size_t b) {
  std::swap(keys_[a], keys_[b]);
  keys_[a]->heap_index = a;
  keys_[b]->heap_index = b;
}

void DueHeap::up(size_t at) {
  while (at > 0 && before(at, (at - 1) / 2)) {
    swap(at, (at - 1) / 2);
    at = (at - 1) / 2;
  }
}

void DueHeap::down(size_t at) {
  while (true) {
    size_t least = at;
    for (const size_t child : {2 * at + 1, 2 * at + 2})
      if (child < keys_.size() && before(child, least)) least = child;
    if (least == at) return;
    swap(at, least);
    at = least;
  }
}

void DueHeap::update(KeyQueue& key) {
  if (key.earliest_due_us == kNeverDue) return remove(key);
  if (key.heap_index == SIZE_MAX) {
    key.heap_index = keys_.size();
    keys_.push_back(&key);
  }
  up(key.heap_index);
  down(key.heap_index);
}

void DueHeap::remove(KeyQueue& key) {
  const size_t at = key.heap_index;
  if (at == SIZE_MAX) return;
  swap(at, keys_.size() - 1);
  keys_.pop_back();
  key.heap_index = SIZE_MAX;
  if (at >= keys_.size()) return;
  up(at);
  down(keys_[at]->heap_index);
}

}  // namespace sluice::queue
