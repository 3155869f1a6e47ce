// Whose turn it is among the ready groups of a key.
#include "queue/key_queue.h"

#include <functional>
#include <string_view>

namespace sluice::queue {
namespace {

uint8_t bucketOf(const QueuedGroup& group, size_t buckets) {
  return static_cast<uint8_t>(std::hash<std::string_view>()(group.message->envelope->reverse_path) %
                              buckets);
}

}  // namespace

void Window::pushBack(QueuedGroup& group) {
  if (!buckets_) buckets_ = std::make_unique<std::array<Bucket, kBuckets>>();
  group.bucket = bucketOf(group, kBuckets);
  Bucket& bucket = (*buckets_)[group.bucket];
  group.previous = bucket.last;
  group.next = nullptr;
  (bucket.last ? bucket.last->next : bucket.first) = &group;
  bucket.last = &group;
  ++groups_;
}

void Window::pushFront(QueuedGroup& group) {
  if (!buckets_) buckets_ = std::make_unique<std::array<Bucket, kBuckets>>();
  group.bucket = bucketOf(group, kBuckets);
  Bucket& bucket = (*buckets_)[group.bucket];
  group.previous = nullptr;
  group.next = bucket.first;
  (bucket.first ? bucket.first->previous : bucket.last) = &group;
  bucket.first = &group;
  turn_ = group.bucket;
  ++groups_;
}

QueuedGroup* Window::next() {
  if (groups_ == 0) return nullptr;
  while (!(*buckets_)[turn_].first) turn_ = static_cast<uint8_t>((turn_ + 1) % kBuckets);
  QueuedGroup* group = (*buckets_)[turn_].first;
  turn_ = static_cast<uint8_t>((turn_ + 1) % kBuckets);
  return group;
}

void Window::remove(QueuedGroup& group) {
  Bucket& bucket = (*buckets_)[group.bucket];
  (group.previous ? group.previous->next : bucket.first) = group.next;
  (group.next ? group.next->previous : bucket.last) = group.previous;
  group.previous = group.next = nullptr;
  if (--groups_ == 0) buckets_.reset();
}

}  // namespace sluice::queue
