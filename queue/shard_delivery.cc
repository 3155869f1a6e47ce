// Delivering: groups are taken, and settled into what they become, or end.
#include <algorithm>
#include <map>

#include "queue/shard_queue.h"
#include "queue/work.h"

namespace sluice::queue {
namespace {

std::vector<Group> groupsByDomain(const Envelope& envelope) {
  std::map<QueueKey, Group> groups;
  for (size_t i = 0; i < std::min(envelope.recipients.size(), kMaxRecipients); ++i) {
    const std::string& path = envelope.recipients[i].forward_path;
    QueueKey key = path.substr(std::min(path.size(), path.rfind('@') + 1));
    for (char& c : key)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (!isValidKey(key)) key = "localhost";
    Group& group = groups[key];
    group.key = key;
    group.recipients.push_back(static_cast<uint16_t>(i));
  }
  std::vector<Group> out;
  for (auto& [key, group] : groups) out.push_back(std::move(group));
  return out;
}

bool alive(const QueuedGroup& group) { return group.place != Place::Writing; }

}  // namespace

std::unique_ptr<Work> ShardQueueImpl::take(const QueueKey& key) {
  const auto at = keys_.find(key);
  if (at == keys_.end()) return nullptr;
  KeyQueue& queue = *at->second;
  queue.last_taken = loop_.now();
  QueuedGroup* group = queue.window.next();
  if (!group) {
    fillWindow(queue);
    return nullptr;
  }
  auto work = takeGroup(*group);
  fillWindow(queue);
  return work;
}

std::unique_ptr<Work> ShardQueueImpl::takeGroup(QueuedGroup& group) {
  toActive(group);
  ++group.message->pins;
  return std::make_unique<QueuedWork>(*this, group);
}

// A Work that was destroyed: as it was, at the front.
void ShardQueueImpl::putBack(QueuedGroup& group) {
  QueuedMessage& message = *group.message;
  --message.pins;
  const AfterAttempt after = std::move(group.after);
  group.after = {};
  if (group.due_us <= clock_.now() && !message.quarantined)
    toWindow(group, true);
  else
    toDisk(group);
  std::vector<QueuedGroup*> groups{&group};
  applyAfterAttempt(after, groups);
  unloadIfDone(message);
}

void ShardQueueImpl::removeOps(Ops& ops, const QueuedGroup& group) const {
  const MessageId& id = group.message->id;
  ops.remove(Family::Schedule, scheduleKey(id.lane(), group.queue->key, group.position()));
  if (group.has_record) ops.remove(Family::State, stateKey(id, group.id));
}

void ShardQueueImpl::endMessageOps(Ops& ops, const QueuedMessage& message) const {
  ops.remove(Family::Envelope, message.id.bytes());
  for (uint32_t chunk = 0; chunk < message.chunks; ++chunk)
    ops.remove(Family::Content, contentKey(message.id, chunk));
  for (const EndedOrigin& ended : message.ended)
    ops.remove(Family::State, stateKey(message.id, ended.id));
  if (message.quarantined)
    ops.remove(Family::Settings, std::string(kQuarantinePrefix) + message.id.toString());
}

void ShardQueueImpl::writeForm(Ops& ops, const QueuedGroup& group) const {
  const MessageId& id = group.message->id;
  const std::string state = stateKey(id, group.id);
  GroupRecord record{false, group.recipients, group.queue->key, group.attempts, group.due_us};
  ops.put(Family::State, state, encodeGroup(state, record));
  const std::string key = scheduleKey(id.lane(), group.queue->key, group.position());
  ScheduleValue value{static_cast<uint16_t>(group.recipients.size()), group.attempts.attempts,
                      false, group.attempts.delay_notified};
  ops.put(Family::Schedule, key, encodeSchedule(key, value));
}

void ShardQueueImpl::settle(std::unique_ptr<Work> work, std::vector<Settlement> settlements,
                            std::vector<NewMessage> notices, Task done) {
  QueuedGroup& group = static_cast<QueuedWork&>(*work).release();
  Tracks tracks = static_cast<QueuedWork&>(*work).takeTracks();
  QueuedMessage& message = *group.message;
  auto settled =
      settleGroup(group.recipients, group.queue->key, group.attempts, std::move(settlements),
                  clock_.now(), [this](WallTime wall) { return clock_.fromWall(wall); });
  work.reset();
  if (settled.unchanged && notices.empty()) {
    --message.pins;
    const AfterAttempt after = std::move(group.after);
    group.after = {};
    toWindow(group, false);
    std::vector<QueuedGroup*> groups{&group};
    applyAfterAttempt(after, groups);
    if (done) loop_.defer(std::move(done));
    return;
  }
  auto step = std::make_unique<Step>();
  step->tracks = std::move(tracks);
  std::vector<QueuedMessage*> queued;
  for (NewMessage& notice : notices) {
    notice.envelope.content_bytes = notice.content.size() + notice.envelope.front_fields.size();
    if (!checkGroups(notice.envelope, notice.groups)) {
      // Not lost because of its groups: it waits under its domain until it can be routed.
      notice.groups = groupsByDomain(notice.envelope);
      if (notice.groups.empty()) continue;
    }
    queued.push_back(&prepareAccept(*step, ids_.next(), std::move(notice.envelope),
                                    std::move(notice.groups), 0, notice.content.slices(), {}));
  }
  --message.pins;
  replaceGroup(group, std::move(settled.forms), std::move(step),
               [this, queued = std::move(queued),
                done = std::move(done)](std::vector<QueuedGroup*>) mutable {
                 for (QueuedMessage* notice : queued) queueAccepted(*notice);
                 if (done) done();
               });
}

void ShardQueueImpl::replaceGroup(QueuedGroup& group, std::vector<GroupForm> forms,
                                  std::unique_ptr<Step> step,
                                  UniqueFunction<void(std::vector<QueuedGroup*>)> then) {
  QueuedMessage& message = *group.message;
  leave(group);
  group.place = Place::Writing;
  count(group, 1);
  removeOps(step->ops, group);
  const bool others = std::any_of(message.groups.begin(), message.groups.end(),
                                  [](const auto& other) { return alive(*other); });
  const GroupId next{group.id.first, nextRevision(group.id.revision)};
  std::vector<QueuedGroup*> fresh;
  for (GroupForm& form : forms) {
    const GroupId id{form.recipients.front(), next.revision};
    QueuedGroup& one = attach(message, std::move(form), id, group.origin);
    one.place = Place::Fresh;
    one.has_record = true;
    writeForm(step->ops, one);
    fresh.push_back(&one);
  }
  if (fresh.empty() && !others) {
    endMessageOps(step->ops, message);
  } else if (fresh.empty()) {
    const bool kin = std::any_of(message.groups.begin(), message.groups.end(), [&](const auto& it) {
      return alive(*it) && it->origin == group.origin;
    });
    if (!kin) {  // says that this origin's recipients are gone, while others live
      const std::string key = stateKey(message.id, next);
      step->ops.put(Family::State, key, encodeGroup(key, {true, group.recipients, {}, {}, 0}));
      message.ended.push_back({next, group.origin});
    }
  }
  ++message.pins;
  changed(message);
  step->on_done = [this, &message, old = &group, fresh = std::move(fresh),
                   then = std::move(then)](Step&) mutable {
    onReplaced(message, old, fresh);
    if (then) then(std::move(fresh));
    --message.pins;
    unloadIfDone(message);
  };
  submitStep(std::move(step));
}

void ShardQueueImpl::onReplaced(QueuedMessage& message, QueuedGroup* old,
                                std::vector<QueuedGroup*>& fresh) {
  const AfterAttempt after = std::move(old->after);
  changed(message);
  eraseGroup(*old);
  if (message.groups.empty()) {
    metrics_.addMessages(message.id.acceptedAt(), -1);
    if (message.quarantined) context_.quarantine.remove(message.id);
  }
  for (QueuedGroup* group : fresh) placeReadyOrWaiting(*group);
  applyAfterAttempt(after, fresh);
}

void ShardQueueImpl::eraseGroup(QueuedGroup& group) {
  leave(group);
  detach(group);
  std::erase_if(group.message->groups, [&](const auto& one) { return one.get() == &group; });
}

void ShardQueueImpl::applyAfterAttempt(const AfterAttempt& after,
                                       std::vector<QueuedGroup*>& groups) {
  if (!after.asked) return;
  for (QueuedGroup* group : groups) {
    std::vector<uint16_t> matching;
    std::set_intersection(group->recipients.begin(), group->recipients.end(),
                          after.recipients.begin(), after.recipients.end(),
                          std::back_inserter(matching));
    if (!matching.empty()) actOnGroup(*group, matching, after.action, after.each, nullptr);
  }
}

}  // namespace sluice::queue
