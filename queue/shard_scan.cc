// From disk to the window: which groups have become due, and which of them are loaded next.
//
// A scan shows the disk as it was when it began. What the shard knows better, because it has the
// message loaded, wins; a message that is not loaded has not changed since (see unloadIfDone).
#include <algorithm>

#include "queue/shard_queue.h"
#include "queue/shard_reads.h"

namespace sluice::queue {
namespace {

constexpr size_t kCountEntries = 20'000;  // of one counting scan
constexpr size_t kLoadGroups = 256;       // of one loading scan
constexpr size_t kLeastLoad = 8;          // also when the limit of loaded messages is near
constexpr size_t kEvictTo = 8;            // left in the window of a key that nobody takes from
constexpr std::chrono::milliseconds kEvictIdle{1000};
constexpr std::chrono::milliseconds kEvictEvery{100};

}  // namespace

uint64_t ShardQueueImpl::beginRead() {
  reads_.insert(++serial_);
  return serial_;
}

void ShardQueueImpl::endRead(uint64_t serial) {
  reads_.erase(serial);
  releaseLingering();
  startDueScans();
}

void ShardQueueImpl::countDue(KeyQueue& queue) {
  if (queue.counting || !mayScan(queue)) return;
  queue.counting = true;
  queue.written_while_counting.clear();
  const Position to{clock_.now() + 1, {}, {}};
  ScheduleRange range{lanes_, queue.key, queue.frontier, to, kCountEntries};
  readThen([range](const Store::Reading& store) { return scanSchedule(store, range); },
           [this, &queue, to](std::optional<ScheduleScan> scan) {
             if (scan) return onCounted(queue, to, std::move(*scan));
             later([this, &queue] {
               queue.counting = false;
               countDue(queue);
             });
           });
}

// Whether an entry that a scan found is on disk only, as far as the shard knows.
bool ShardQueueImpl::countsAsWaiting(const Position& at) {
  QueuedMessage* message = findLoaded(at.id);
  if (!message) return true;
  const QueuedGroup* group = groupAt(*message, at.group);
  return group && group->place == Place::Disk && group->due_us == at.due_us;
}

// Groups that went to disk while the scan ran: it may have missed them.
void ShardQueueImpl::countWritten(const KeyQueue& queue, const Position& frontier, Tally& due,
                                  Tally& aside, uint64_t& earliest_us) {
  for (const Position& at : queue.written_while_counting) {
    QueuedMessage* message = findLoaded(at.id);
    if (!message || !countsAsWaiting(at)) continue;
    const auto recipients = static_cast<int64_t>(groupAt(*message, at.group)->recipients.size());
    if (!(at < frontier))
      earliest_us = std::min(earliest_us, at.due_us);
    else
      (message->quarantined ? aside : due).add(1, recipients);
  }
}

void ShardQueueImpl::onCounted(KeyQueue& queue, const Position& to, ScheduleScan scan) {
  queue.counting = false;
  if (scan.damage) context_.tell({StoreEvent::What::Damaged, "", scan.damage->detail});
  auto& written = queue.written_while_counting;
  std::sort(written.begin(), written.end());
  written.erase(std::unique(written.begin(), written.end()), written.end());
  const Position frontier =
      std::max(queue.frontier, scan.more ? positionAfter(scan.entries.back().at) : to);
  uint64_t earliest =
      scan.more ? scan.entries.back().at.due_us : scan.next_due_us.value_or(kNeverDue);
  Tally due, aside;
  countWritten(queue, frontier, due, aside, earliest);
  for (const ScheduleEntry& entry : scan.entries) {
    if (std::binary_search(written.begin(), written.end(), entry.at)) continue;
    if (!countsAsWaiting(entry.at)) continue;
    (context_.quarantine.contains(entry.at.id) ? aside : due).add(1, entry.value.recipients);
  }
  written.clear();
  queue.frontier = frontier;
  queue.waiting.add(-due.groups - aside.groups, -due.recipients - aside.recipients);
  queue.disk_ready.add(due.groups, due.recipients);
  queue.set_aside.add(aside.groups, aside.recipients);
  metrics_.deferred.add(-due.recipients - aside.recipients);
  metrics_.ready.add(due.recipients);
  metrics_.held.add(aside.recipients);
  queue.grown |= due.groups > 0;
  queue.earliest_due_us = earliest;
  due_.update(queue);
  if (earliest <= clock_.now()) {
    due_.remove(queue);
    countDue(queue);
  } else {
    armTick();
  }
  fillWindow(queue);
  eraseIfIdle(queue);
}

void ShardQueueImpl::fillWindow(KeyQueue& queue) {
  const size_t limit = context_.options.window_groups;
  if (queue.loading || queue.hungry || queue.disk_ready.groups <= 0 || !mayScan(queue) ||
      queue.window.groups() > limit / 2)
    return;
  const size_t cap = context_.options.max_loaded_messages;
  if (loaded_.size() >= cap) {
    queue.hungry = true;
    hungry_.push_back(&queue);
    return;
  }
  queue.loading = true;
  metrics_.refills.add();
  const size_t room = std::max(kLeastLoad, cap - loaded_.size());
  ScheduleRange range{lanes_, queue.key, queue.cursor, queue.frontier,
                      std::min({kLoadGroups, limit - queue.window.groups(), room})};
  if (range.from == Position{}) queue.grown = false;
  queue.cursor = queue.frontier;  // what is written before it meanwhile lowers it
  struct Found {
    std::vector<Loaded> loaded;
    bool more = false;
    std::optional<Error> damage;
  };
  readThen(
      [range, &quarantine = context_.quarantine](const Store::Reading& store) {
        ScheduleScan scan = scanSchedule(store, range);
        Found found{{}, scan.more, std::move(scan.damage)};
        for (const ScheduleEntry& entry : scan.entries) {
          const bool initial = entry.value.sole && entry.at.group.revision == 0;
          if (quarantine.contains(entry.at.id))
            found.loaded.push_back({entry, fail(Errc::Cancelled, "quarantined")});
          else
            found.loaded.push_back({entry, readMessage(store, entry.at.id, !initial)});
        }
        return found;
      },
      [this, &queue, from = range.from, to = range.to](std::optional<Found> found) {
        if (found) {
          if (found->damage) context_.tell({StoreEvent::What::Damaged, "", found->damage->detail});
          return onLoaded(queue, std::move(found->loaded), found->more, from, to);
        }
        queue.cursor = std::min(queue.cursor, from);
        later([this, &queue] {
          queue.loading = false;
          fillWindow(queue);
        });
      });
}

void ShardQueueImpl::onLoaded(KeyQueue& queue, std::vector<Loaded> loaded, bool more,
                              const Position& from, const Position& to) {
  queue.loading = false;
  bool gained = false;
  for (Loaded& one : loaded) gained |= placeLoaded(queue, one);
  if (more) {
    queue.cursor = std::min(queue.cursor, positionAfter(loaded.back().entry.at));
  } else if (!gained && queue.disk_ready.groups > 0 && queue.cursor >= to) {
    // The end was reached although the numbers speak of more. Look once from the beginning; if that
    // finds nothing either, the numbers are wrong (a reopening during the walk can do that).
    if (from == Position{} && !queue.grown) {
      metrics_.ready.add(-queue.disk_ready.recipients);
      queue.disk_ready = {};
    } else {
      queue.cursor = Position{};
    }
  }
  fillWindow(queue);
  eraseIfIdle(queue);
}

// An entry of the schedule whose message is gone, as one that was removed unread leaves behind.
void ShardQueueImpl::dropOrphan(KeyQueue& queue, const ScheduleEntry& entry) {
  const auto recipients = static_cast<int64_t>(entry.value.recipients);
  queue.disk_ready.add(-1, -recipients);
  metrics_.ready.add(-recipients);
  auto step = std::make_unique<Step>();
  step->ops.remove(Family::Schedule, scheduleKey(entry.at.id.lane(), queue.key, entry.at));
  submitStep(std::move(step));
  context_.tell({StoreEvent::What::Damaged, "", "removed a schedule entry without its message"});
}

// True if it took something out of what is ready on disk.
bool ShardQueueImpl::placeLoaded(KeyQueue& queue, Loaded& loaded) {
  const ScheduleEntry& entry = loaded.entry;
  QueuedMessage* message = findLoaded(entry.at.id);
  if (!message) {
    if (!loaded.message && loaded.message.error().code == Errc::NotFound) {
      dropOrphan(queue, entry);
      return true;
    }
    if (!loaded.message) {
      // Not there to be delivered: neither loaded nor dropped.
      const auto recipients = static_cast<int64_t>(entry.value.recipients);
      queue.disk_ready.add(-1, -recipients);
      queue.set_aside.add(1, recipients);
      metrics_.ready.add(-recipients);
      metrics_.held.add(recipients);
      if (loaded.message.error().code != Errc::Cancelled)
        context_.quarantineMessage(entry.at.id, loaded.message.error().detail);
      return true;
    }
    message = &adopt(std::move(*loaded.message));
  }
  QueuedGroup* group = groupAt(*message, entry.at.group);
  const bool ours = group && group->place == Place::Disk && group->queue == &queue &&
                    group->due_us == entry.at.due_us;
  if (ours && !message->quarantined) toWindow(*group, false);
  unloadIfDone(*message);
  return ours;
}

// The limit of loaded messages may be full of a dead destination's: where nobody has taken for a
// while, all but a few go back to being on disk only.
void ShardQueueImpl::evictIdleWindows() {
  const SteadyTime now = loop_.now();
  if (loaded_.size() < context_.options.max_loaded_messages || now < last_eviction_ + kEvictEvery)
    return;
  last_eviction_ = now;
  std::vector<QueuedGroup*> evicted;
  for (auto& [key, queue] : keys_) {
    if (queue->window.groups() <= kEvictTo || now < queue->last_taken + kEvictIdle) continue;
    const size_t count = queue->window.groups() - kEvictTo;
    queue->window.forEachFromBack(count, [&](QueuedGroup& group) { evicted.push_back(&group); });
  }
  for (QueuedGroup* group : evicted) {
    QueuedMessage& message = *group->message;
    toDisk(*group);
    unloadIfDone(message);
  }
}

void ShardQueueImpl::feedHungry() {
  for (size_t count = hungry_.size(); count > 0; --count) {
    if (loaded_.size() >= context_.options.max_loaded_messages) return;
    KeyQueue& queue = *hungry_.front();
    hungry_.pop_front();
    queue.hungry = false;
    fillWindow(queue);
    eraseIfIdle(queue);
  }
}

void ShardQueueImpl::readChunk(QueuedMessage& message, uint32_t chunk, Content::Done done) {
  metrics_.read_back.add();
  const MessageId id = message.id;
  context_.readers.urgent([this, id, chunk, done = std::move(done)]() mutable {
    Result<BlockRef> block = fail(Errc::Io, "the store is being opened again");
    if (const auto reading = context_.store->read())
      block = sluice::queue::readChunk(reading, id, chunk);
    loop_.post([this, id, block = std::move(block), done = std::move(done)]() mutable {
      if (block) {
        const std::string_view bytes = (*block)->view();
        return done(std::vector<Slice>{{std::move(*block), bytes}});
      }
      if (block.error().code == Errc::Corrupt) {
        if (QueuedMessage* damaged = findLoaded(id)) setQuarantined(*damaged, true);
        context_.quarantineMessage(id, block.error().detail);
      }
      done(tl::unexpected<Error>(block.error()));
    });
  });
}

}  // namespace sluice::queue
