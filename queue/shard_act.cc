// Acting: hold, release, retry and remove, over all that a filter means; and the sweep for what is
// overdue. Both go through the disk a slice at a time, and wait for a slice to be done before the
// next, so that a million messages neither stall the loop nor fill memory.
#include <algorithm>

#include "queue/shard_search.h"
#include "queue/work.h"

namespace sluice::queue {
namespace {

constexpr size_t kActAtOnce = 256;
constexpr size_t kSweepEntries = 20'000;  // looked at in one slice
constexpr size_t kSweepWorks = 256;       // given to the listener in one slice

std::vector<uint16_t> without(const std::vector<uint16_t>& all, const std::vector<uint16_t>& some) {
  std::vector<uint16_t> rest;
  std::set_difference(all.begin(), all.end(), some.begin(), some.end(), std::back_inserter(rest));
  return rest;
}

}  // namespace

struct ShardQueueImpl::Acting {
  Action action = Action::Retry;
  std::shared_ptr<Search> search;
  EachWork each;
  UniqueFunction<void(Result<ActionResult>)> done;
  ActionResult result;
  size_t under_way = 0;  // steps of the current slice
  bool slice_done = false;
};

void ShardQueueImpl::act(Action action, MessageFilter filter,
                         UniqueFunction<void(std::unique_ptr<Work>)> each,
                         UniqueFunction<void(Result<ActionResult>)> done) {
  auto acting = std::make_shared<Acting>();
  acting->action = action;
  acting->search = std::make_shared<Search>(std::move(filter), std::nullopt);
  acting->each = std::make_shared<UniqueFunction<void(std::unique_ptr<Work>)>>(std::move(each));
  acting->done = std::move(done);
  if (walk_complete_) return continueActing(std::move(acting));
  // The walk counts what was there at the start, so that must not change under it.
  after_walk_.push_back([this, acting]() mutable { continueActing(std::move(acting)); });
}

void ShardQueueImpl::continueActing(std::shared_ptr<Acting> acting) {
  auto search = acting->search;
  searchOn(std::move(search), kActAtOnce, [this, acting](std::optional<MessageScan> scan) mutable {
    if (scan) return onActingSlice(std::move(acting), std::move(*scan));
    later([this, acting]() mutable { continueActing(std::move(acting)); });
  });
}

void ShardQueueImpl::onActingSlice(std::shared_ptr<Acting> acting, MessageScan scan) {
  acting->under_way = 1;  // this very call
  for (StoredMessage& stored : scan.messages) actOnMessage(acting, std::move(stored));
  // What cannot be read matches no filter; by its id it can be removed all the same.
  if (acting->action == Action::Remove && !acting->search->filter.ids.empty())
    for (const MessageId& id : scan.damaged) removeUnreadable(acting, id);
  if (--acting->under_way > 0) {
    acting->slice_done = true;
    return;  // the last of its steps goes on
  }
  if (!acting->search->at_end) return continueActing(std::move(acting));
  acting->done(acting->result);
}

void ShardQueueImpl::removeUnreadable(const std::shared_ptr<Acting>& acting, const MessageId& id) {
  ++acting->under_way;
  ++acting->result.matched;
  readThen([id](const Store::Reading& store) { return keysOf(store, id); },
           [this, acting, id](std::optional<std::vector<std::pair<Family, std::string>>> keys) {
             if (!keys) return finishActing(acting);
             auto step = std::make_unique<Step>();
             for (const auto& [family, key] : *keys) step->ops.remove(family, key);
             step->ops.remove(Family::Settings, std::string(kQuarantinePrefix) + id.toString());
             if (isTracking())
               appendTrack(step->tracks, {.kind = TrackKind::Discarded,
                                          .id = id,
                                          .time = loop_.wallNow(),
                                          .reply = "removed by hand, unread"});
             step->on_done = [this, acting, id](Step&) {
               if (context_.quarantine.remove(id)) metrics_.addMessages(id.acceptedAt(), -1);
               context_.tell({StoreEvent::What::Damaged, id.toString(), "removed by hand, unread"});
               ++acting->result.changed;
               finishActing(acting);
             };
             submitStep(std::move(step));
           });
}

// One of a slice's steps is done; the last one goes on.
void ShardQueueImpl::finishActing(std::shared_ptr<Acting> acting) {
  if (--acting->under_way > 0 || !acting->slice_done) return;
  acting->slice_done = false;
  if (!acting->search->at_end) return continueActing(std::move(acting));
  acting->done(acting->result);
}

void ShardQueueImpl::actOnMessage(const std::shared_ptr<Acting>& acting, StoredMessage stored) {
  QueuedMessage* message = findLoaded(stored.id);
  if (!message) message = &adopt(std::move(stored));
  const MessageFilter& filter = acting->search->filter;
  bool matched = false, changed = false;
  ++message->pins;
  std::vector<QueuedGroup*> groups;
  for (const auto& group : message->groups) groups.push_back(group.get());
  for (QueuedGroup* group : groups) {
    if (group->place == Place::Fresh) continue;
    if (filter.state && *filter.state != stateOf(*group)) continue;
    std::vector<uint16_t> matching;
    for (const uint16_t recipient : group->recipients)
      if (matchesRecipient(filter, message->envelope->recipients[recipient], group->queue->key))
        matching.push_back(recipient);
    if (matching.empty()) continue;
    matched = true;
    if (group->place == Place::Active || group->place == Place::Writing) {
      // A retry is under way already.
      if (acting->action == Action::Retry || acting->action == Action::Release) continue;
      group->after = {true, acting->action, std::move(matching), acting->each};
      changed = true;
      continue;
    }
    ++acting->under_way;
    const auto then = [this, acting] { finishActing(acting); };
    if (actOnGroup(*group, matching, acting->action, acting->each, then))
      changed = true;
    else
      --acting->under_way;
  }
  acting->result.matched += matched;
  acting->result.changed += changed;
  --message->pins;
  unloadIfDone(*message);
}

bool ShardQueueImpl::actOnGroup(QueuedGroup& group, const std::vector<uint16_t>& matching,
                                Action action, EachWork each, Task then) {
  const uint64_t now = clock_.now();
  const bool held = group.due_us == kNeverDue;
  QueuedMessage& message = *group.message;
  const bool lifted = action == Action::Retry && message.quarantined;
  if ((action == Action::Retry && (held || (group.due_us <= now && !lifted))) ||
      (action == Action::Hold && held) || (action == Action::Release && !held))
    return false;
  const std::vector<uint16_t> rest = without(group.recipients, matching);
  if (action == Action::Remove && rest.empty()) {
    (*each)(takeGroup(group));
    loop_.defer([then = std::move(then)]() mutable {
      if (then) then();
    });
    return true;
  }
  auto step = std::make_unique<Step>();
  if (lifted) {
    setQuarantined(message, false);
    context_.quarantine.remove(message.id);
    step->ops.remove(Family::Settings, std::string(kQuarantinePrefix) + message.id.toString());
  }
  trackByHand(step->tracks, group, matching, action);
  std::vector<GroupForm> forms;
  const uint64_t due_us = action == Action::Hold     ? kNeverDue
                          : action == Action::Remove ? group.due_us
                                                     : now;
  forms.push_back({matching, group.queue->key, group.attempts, due_us});
  forms.back().attempts.due = fromMicroseconds(due_us);
  if (!rest.empty()) forms.push_back({rest, group.queue->key, group.attempts, group.due_us});
  replaceGroup(group, std::move(forms), std::move(step),
               [this, action, each = std::move(each),
                then = std::move(then)](std::vector<QueuedGroup*> fresh) mutable {
                 if (action == Action::Remove) (*each)(takeGroup(*fresh.front()));
                 if (then) then();
               });
  return true;
}

void ShardQueueImpl::trackByHand(Tracks& tracks, const QueuedGroup& group,
                                 const std::vector<uint16_t>& recipients, Action action) const {
  const bool told = action == Action::Hold || action == Action::Release;
  if (!isTracking() || !told) return;
  TrackEvent event;
  event.kind = action == Action::Hold ? TrackKind::Held : TrackKind::Released;
  event.id = group.message->id;
  event.time = loop_.wallNow();
  for (const uint16_t recipient : recipients)
    event.recipients.push_back(group.message->envelope->recipients[recipient].forward_path);
  appendTrack(tracks, event);
}

void ShardQueueImpl::sweepOverdue(const QueueKey& key, WallTime notice_before,
                                  WallTime expire_before) {
  const auto at = keys_.find(key);
  if (at == keys_.end() || at->second->sweeping || !mayScan(*at->second)) return;
  at->second->sweeping = true;
  continueSweep(*at->second, Position{}, notice_before, expire_before);
}

void ShardQueueImpl::continueSweep(KeyQueue& queue, Position from, WallTime notice_before,
                                   WallTime expire_before) {
  struct Found {
    std::vector<Loaded> overdue;
    std::optional<Position> resume;
  };
  ScheduleRange range{lanes_, queue.key, from, Position{kNeverDue, {}, {}}, kSweepEntries};
  readThen(
      [range, notice_before, expire_before,
       &quarantine = context_.quarantine](const Store::Reading& store) {
        Found found;
        const ScheduleScan scan = scanSchedule(store, range);
        for (const ScheduleEntry& entry : scan.entries) {
          const WallTime accepted = entry.at.id.acceptedAt();
          const bool overdue =
              accepted < expire_before || (accepted < notice_before && !entry.value.notified);
          if (!overdue || quarantine.contains(entry.at.id)) continue;
          if (found.overdue.size() == kSweepWorks) {
            found.resume = entry.at;
            return found;
          }
          found.overdue.push_back({entry, readMessage(store, entry.at.id)});
        }
        if (scan.more) found.resume = positionAfter(scan.entries.back().at);
        return found;
      },
      [this, &queue, from, notice_before, expire_before](std::optional<Found> found) {
        if (!found) found = Found{{}, from};
        for (Loaded& one : found->overdue) giveOverdue(queue, one);
        if (found->resume)
          return later([this, &queue, resume = *found->resume, notice_before, expire_before] {
            continueSweep(queue, resume, notice_before, expire_before);
          });
        queue.sweeping = false;
        eraseIfIdle(queue);
      });
}

void ShardQueueImpl::giveOverdue(KeyQueue& queue, Loaded& loaded) {
  QueuedMessage* message = findLoaded(loaded.entry.at.id);
  if (!message && !loaded.message) return;
  if (!message) message = &adopt(std::move(*loaded.message));
  QueuedGroup* group = groupAt(*message, loaded.entry.at.group);
  const bool waits = group && group->queue == &queue && group->due_us == loaded.entry.at.due_us &&
                     (group->place == Place::Disk || group->place == Place::Window);
  if (waits && listener_)
    listener_->onOverdue(takeGroup(*group));
  else
    unloadIfDone(*message);
}

}  // namespace sluice::queue
