// What the walk at the start tells a shard of the messages that were there already.
#include <algorithm>

#include "queue/shard_queue.h"

namespace sluice::queue {

void ShardQueueImpl::onWalked(std::vector<WalkedKey> keys) {
  for (WalkedKey& walked : keys) {
    KeyQueue& queue = keyQueue(walked.key);
    // All that is on disk counts as waiting until a scan from the beginning has told what is due.
    // Scans begin when the key is walked, so none is under way.
    if (queue.disk_ready.groups > 0) queue.earliest_due_us = 0;
    queue.waiting.add(queue.disk_ready.groups + walked.waiting.groups,
                      queue.disk_ready.recipients + walked.waiting.recipients);
    queue.held.add(walked.held.groups, walked.held.recipients);
    metrics_.ready.add(-queue.disk_ready.recipients);
    metrics_.deferred.add(queue.disk_ready.recipients + walked.waiting.recipients);
    metrics_.held.add(walked.held.recipients);
    queue.disk_ready = {};
    queue.frontier = queue.cursor = Position{};
    queue.earliest_due_us = std::min(queue.earliest_due_us, walked.earliest_due_us);
    queue.oldest_us = std::min(queue.oldest_us, walked.oldest_us);
    queue.walked |= walked.complete && lanes_.size() == 1;
    due_.update(queue);
  }
  onTick();
}

void ShardQueueImpl::onWalkComplete() {
  walk_complete_ = true;
  for (auto& [key, queue] : keys_) {
    due_.update(*queue);
    fillWindow(*queue);
  }
  onTick();
  std::vector<Task> tasks;
  tasks.swap(after_walk_);
  for (Task& task : tasks) task();
}

}  // namespace sluice::queue
