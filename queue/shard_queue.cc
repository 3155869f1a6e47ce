// Where each group of a shard stands, the numbers that follow from it, and when a key is looked at
// again.
#include "queue/shard_queue.h"

#include <algorithm>

namespace sluice::queue {
namespace {
constexpr size_t kMostDueScans = 64;
}

ShardQueueImpl::ShardQueueImpl(QueueContext& context, size_t index, net::Loop& loop,
                               std::vector<uint8_t> lanes, uint32_t start_number)
    : context_(context),
      index_(index),
      loop_(loop),
      lanes_(std::move(lanes)),
      clock_(*context.options.clock),
      ids_(static_cast<uint8_t>(index), start_number, *context.options.clock),
      metrics_(context.metrics->shards[index]) {
  tick_.onDue([this] { onTick(); });
  accept_deadline_.onDue([this] { checkAcceptDeadlines(); });
  doubt_deadline_.onDue([this] { checkDoubts(); });
  relief_.onDue([this] { relieveIncoming(); });
}

ShardQueueImpl::~ShardQueueImpl() = default;

void ShardQueueImpl::start() { armTick(); }

KeyQueue& ShardQueueImpl::keyQueue(const QueueKey& key) {
  auto& slot = keys_[key];
  if (!slot) slot = std::make_unique<KeyQueue>(key);
  return *slot;
}

void ShardQueueImpl::eraseIfIdle(KeyQueue& queue) {
  if (!queue.idle()) return;
  due_.remove(queue);
  keys_.erase(QueueKey(queue.key));  // a copy: the name dies with the queue
}

QueuedMessage* ShardQueueImpl::findLoaded(const MessageId& id) {
  const auto at = loaded_.find(id);
  return at == loaded_.end() ? nullptr : at->second.get();
}

QueuedGroup& ShardQueueImpl::attach(QueuedMessage& message, GroupForm form, GroupId id,
                                    uint16_t origin) {
  auto& group = *message.groups.emplace_back(std::make_unique<QueuedGroup>());
  group.message = &message;
  group.queue = &keyQueue(form.key);
  ++group.queue->attached;
  group.id = id;
  group.origin = origin;
  group.recipients = std::move(form.recipients);
  group.attempts = std::move(form.attempts);
  group.due_us = form.due_us;
  return group;
}

void ShardQueueImpl::detach(QueuedGroup& group) {
  --group.queue->attached;
  eraseIfIdle(*group.queue);
  group.queue = nullptr;
}

// The groups of a message that was read: all on disk, and counted there already.
QueuedMessage& ShardQueueImpl::adopt(StoredMessage stored) {
  auto& slot = loaded_[stored.id];
  slot = std::make_unique<QueuedMessage>();
  metrics_.loaded.set(static_cast<int64_t>(loaded_.size()));
  QueuedMessage& message = *slot;
  message.id = stored.id;
  message.envelope = std::move(stored.envelope);
  message.chunks = stored.chunks;
  message.ended = std::move(stored.ended);
  message.quarantined = context_.quarantine.contains(message.id);
  for (StoredGroup& group : stored.groups) {
    GroupForm form{std::move(group.recipients), std::move(group.key), std::move(group.attempts),
                   group.due_us};
    attach(message, std::move(form), group.id, group.origin).has_record = group.has_record;
  }
  return message;
}

void ShardQueueImpl::dropContent(QueuedMessage& message) {
  context_.budget.release(message.content_charged);
  message.content_charged = 0;
  message.content.clear();
  message.content_in_memory = false;
}

// A read that is older than the message's last change may still bring what it was before. As long
// as the message is loaded, such news is known to be old.
void ShardQueueImpl::unloadIfDone(QueuedMessage& message) {
  if (message.pins > 0) return;
  for (const auto& group : message.groups)
    if (group->place != Place::Disk) return;
  dropContent(message);
  if (!reads_.empty() && *reads_.begin() <= message.changed) {
    lingering_.push_back(message.id);
    return;
  }
  for (const auto& group : message.groups) detach(*group);
  loaded_.erase(MessageId(message.id));
  metrics_.loaded.set(static_cast<int64_t>(loaded_.size()));
}

void ShardQueueImpl::releaseLingering() {
  while (!lingering_.empty()) {
    QueuedMessage* message = findLoaded(lingering_.front());
    if (message && !reads_.empty() && *reads_.begin() <= message->changed) return;
    lingering_.pop_front();
    if (message) unloadIfDone(*message);
  }
}

void ShardQueueImpl::setQuarantined(QueuedMessage& message, bool quarantined) {
  const auto recount = [&](int64_t sign) {
    for (const auto& group : message.groups)
      if (group->place == Place::Disk) count(*group, sign);
  };
  recount(-1);
  message.quarantined = quarantined;
  recount(1);
}

Tally& ShardQueueImpl::tallyOf(QueuedGroup& group) {
  KeyQueue& queue = *group.queue;
  switch (group.place) {
    case Place::Window:
      return queue.in_window;
    case Place::Active:
    case Place::Writing:
    case Place::Fresh:
      return queue.active;
    case Place::Disk:
      break;
  }
  if (group.due_us == kNeverDue) return queue.held;
  if (!(group.position() < queue.frontier)) return queue.waiting;
  return group.message->quarantined ? queue.set_aside : queue.disk_ready;
}

void ShardQueueImpl::count(QueuedGroup& group, int64_t sign) {
  Tally& tally = tallyOf(group);
  const int64_t recipients = sign * static_cast<int64_t>(group.recipients.size());
  tally.add(sign, recipients);
  KeyQueue& queue = *group.queue;
  if (&tally == &queue.active)
    metrics_.active.add(recipients);
  else if (&tally == &queue.held || &tally == &queue.set_aside)
    metrics_.held.add(recipients);
  else if (&tally == &queue.waiting)
    metrics_.deferred.add(recipients);
  else
    metrics_.ready.add(recipients);
  if (sign > 0)
    queue.oldest_us = std::min(queue.oldest_us, toMicroseconds(group.message->id.acceptedAt()));
}

void ShardQueueImpl::leave(QueuedGroup& group) {
  if (group.place == Place::Fresh) return;
  count(group, -1);
  if (group.place == Place::Window) group.queue->window.remove(group);
  if (group.queue->totalGroups() == 0) group.queue->oldest_us = kNeverDue;
  group.place = Place::Fresh;
}

void ShardQueueImpl::toWindow(QueuedGroup& group, bool front) {
  leave(group);
  group.place = Place::Window;
  count(group, 1);
  if (front)
    group.queue->window.pushFront(group);
  else
    group.queue->window.pushBack(group);
  notifyReady(*group.queue);
}

void ShardQueueImpl::toActive(QueuedGroup& group) {
  leave(group);
  group.place = Place::Active;
  count(group, 1);
}

void ShardQueueImpl::toDisk(QueuedGroup& group) {
  leave(group);
  changed(*group.message);  // a scan under way may or may not count it
  KeyQueue& queue = *group.queue;
  group.place = Place::Disk;
  const Position at = group.position();
  const bool waits = group.due_us != kNeverDue && !(at < queue.frontier);
  // With nothing waiting before it, a group that is due moves the frontier behind itself.
  if (waits && !queue.counting && group.due_us < queue.earliest_due_us &&
      group.due_us <= clock_.now())
    queue.frontier = Position{group.due_us + 1, {}, {}};
  count(group, 1);
  if (group.due_us == kNeverDue) return;
  if (at < queue.frontier) {
    if (group.message->quarantined) return;
    queue.grown = true;
    queue.cursor = std::min(queue.cursor, at);
    fillWindow(queue);
    return;
  }
  if (queue.counting) queue.written_while_counting.push_back(at);
  if (group.due_us < queue.earliest_due_us) {
    queue.earliest_due_us = group.due_us;
    due_.update(queue);
    armTick();
  }
}

bool ShardQueueImpl::mayJoinWindow(const KeyQueue& queue) const {
  return queue.window.groups() < context_.options.window_groups && queue.disk_ready.groups <= 0 &&
         loaded_.size() <= context_.options.max_loaded_messages;
}

// A group whose form is written: into the window if it is due and there is room, else only to disk.
void ShardQueueImpl::placeReadyOrWaiting(QueuedGroup& group) {
  const uint64_t now = clock_.now();
  const bool due = group.due_us <= now;
  if (due && !group.message->quarantined && group.queue->earliest_due_us > now &&
      mayJoinWindow(*group.queue))
    toWindow(group, false);
  else
    toDisk(group);
}

void ShardQueueImpl::notifyReady(KeyQueue& queue) {
  if (queue.notifying) return;
  queue.notifying = true;
  if (notifications_.empty()) loop_.defer([this] { flushNotifications(); });
  notifications_.push_back(&queue);
}

void ShardQueueImpl::flushNotifications() {
  std::vector<KeyQueue*> queues;
  queues.swap(notifications_);
  for (KeyQueue* queue : queues) {
    const bool ready = !queue->window.empty();
    const QueueKey key = queue->key;
    queue->notifying = false;
    eraseIfIdle(*queue);
    if (ready && listener_) listener_->onReady(key);
  }
}

void ShardQueueImpl::armTick() {
  const auto most = context_.options.recheck_interval;
  Duration wait = most;
  if (!due_.empty()) {
    const uint64_t now = clock_.now();
    const uint64_t due = due_.top().earliest_due_us;
    const auto until =
        std::chrono::microseconds(due > now ? std::min<uint64_t>(due - now, 1ull << 40) : 0);
    wait = std::min<Duration>(wait, until);
  }
  tick_.arm(loop_.deadlines(), wait);
}

// A hundred thousand keys may be due at once, as after a start: they are looked at a few at a time.
void ShardQueueImpl::startDueScans() {
  const uint64_t now = clock_.now();
  while (!due_.empty() && due_.top().earliest_due_us <= now && reads_.size() < kMostDueScans) {
    KeyQueue& queue = due_.top();
    due_.remove(queue);  // comes back with the scan's result
    countDue(queue);
  }
}

void ShardQueueImpl::onTick() {
  startDueScans();
  std::vector<Task> retries;
  retries.swap(retries_);
  for (Task& task : retries) task();
  if (!hungry_.empty()) {
    evictIdleWindows();
    feedHungry();
  }
  armTick();
}

std::vector<QueueKey> ShardQueueImpl::readyKeys() const {
  std::vector<QueueKey> keys;
  for (const auto& [key, queue] : keys_)
    if (!queue->window.empty()) keys.push_back(key);
  return keys;
}

uint64_t ShardQueueImpl::readyGroups(const QueueKey& key) const {
  const auto at = keys_.find(key);
  if (at == keys_.end()) return 0;
  return static_cast<uint64_t>(
      std::max<int64_t>(0, at->second->in_window.groups + at->second->disk_ready.groups));
}

}  // namespace sluice::queue
