// Accepting: content and envelope become one synced step, then groups that are queued.
#include <algorithm>

#include "queue/incoming.h"
#include "queue/shard_queue.h"

namespace sluice::queue {

// A commit that somebody waits for, at most commit_timeout.
struct ShardQueueImpl::PendingAccept {
  Step* step = nullptr;  // owned by the committer until it is finished
  QueuedMessage* message = nullptr;
  UniqueFunction<void(Result<void>)> done;
  SteadyTime since{};
  bool finished = false;
};

// A commit that was given up while it was being written, until its refusal is noted.
struct ShardQueueImpl::Doubt {
  MessageId id;
  UniqueFunction<void(Result<void>)> done;
  SteadyTime since{};
};

namespace {

// The slices of content, cut into the chunks in which it is stored.
std::vector<std::vector<Slice>> chunksOf(std::vector<Slice> content) {
  std::vector<std::vector<Slice>> chunks;
  size_t room = 0;
  for (Slice& slice : content) {
    std::string_view rest = slice.bytes;
    while (!rest.empty()) {
      if (room == 0) {
        chunks.emplace_back();
        room = kChunkBytes;
      }
      const std::string_view part = rest.substr(0, room);
      chunks.back().push_back({slice.block, part});
      room -= part.size();
      rest.remove_prefix(part.size());
    }
  }
  return chunks;
}

std::vector<Group> splitLargeGroups(std::vector<Group> groups) {
  std::vector<Group> out;
  for (Group& group : groups) {
    if (group.recipients.size() <= kMaxGroup) {
      out.push_back(std::move(group));
      continue;
    }
    for (size_t at = 0; at < group.recipients.size(); at += kMaxGroup) {
      const auto from = group.recipients.begin() + static_cast<ptrdiff_t>(at);
      const auto count = std::min(kMaxGroup, group.recipients.size() - at);
      out.push_back({group.key, {from, from + static_cast<ptrdiff_t>(count)}});
    }
  }
  return out;
}

}  // namespace

std::unique_ptr<Incoming> ShardQueueImpl::newIncoming(uint64_t expected_bytes) {
  return std::make_unique<IncomingMessage>(*this, ids_.next(), expected_bytes);
}

Result<void> ShardQueueImpl::mayAccept(uint64_t expected_bytes) const {
  if (!context_.committer->writable()) return fail(Errc::Io, context_.committer->whyNotWritable());
  if (!context_.hasSpaceFor(expected_bytes))
    return fail(Errc::NoSpace, "less free disk than disk_reserve");
  if (context_.budget.incomingPressed(std::min<uint64_t>(expected_bytes, kChunkBytes)))
    return fail(Errc::NoSpace, "the memory for contents being received is used up");
  return {};
}

Result<void> ShardQueueImpl::checkGroups(const Envelope& envelope,
                                         std::vector<Group>& groups) const {
  if (envelope.recipients.size() > kMaxRecipients || groups.empty())
    return fail(Errc::InvalidArgument, "no recipients to queue, or too many");
  std::vector<bool> seen(envelope.recipients.size(), false);
  for (Group& group : groups) {
    if (!isValidKey(group.key) || group.recipients.empty())
      return fail(Errc::InvalidArgument, "a group needs a key and recipients");
    std::sort(group.recipients.begin(), group.recipients.end());
    for (const uint16_t recipient : group.recipients) {
      if (recipient >= seen.size() || seen[recipient])
        return fail(Errc::InvalidArgument, "a recipient is not in the envelope, or queued twice");
      seen[recipient] = true;
    }
  }
  groups = splitLargeGroups(std::move(groups));
  return {};
}

QueuedMessage& ShardQueueImpl::prepareAccept(Step& step, const MessageId& id, Envelope envelope,
                                             std::vector<Group> groups, uint32_t early_chunks,
                                             std::vector<Slice> content, const Origin& origin) {
  Ops& ops = step.ops;
  auto& slot = loaded_[id];
  slot = std::make_unique<QueuedMessage>();
  metrics_.loaded.set(static_cast<int64_t>(loaded_.size()));
  QueuedMessage& message = *slot;
  message.id = id;
  message.envelope = std::make_shared<const Envelope>(std::move(envelope));
  if (early_chunks == 0 && message.envelope->content_bytes <= kChunkBytes &&
      context_.budget.keep(message.envelope->content_bytes)) {
    message.content_in_memory = true;
    message.content = content;
    putFieldsInFront(*message.envelope, message.content);
    message.content_charged = message.envelope->content_bytes;
  }
  auto chunks = chunksOf(std::move(content));
  message.chunks = early_chunks + static_cast<uint32_t>(chunks.size());
  for (size_t i = 0; i < chunks.size(); ++i)
    ops.put(Family::Content, contentKey(id, early_chunks + static_cast<uint32_t>(i)),
            std::move(chunks[i]));
  if (early_chunks > 0) ops.remove(Family::Partial, id.bytes());
  const uint64_t due_us = clock_.now();
  EnvelopeRecord record{message.envelope, std::move(groups), due_us, message.chunks};
  ops.put(Family::Envelope, id.bytes(), encodeEnvelope(id.bytes(), record));
  const bool sole = record.groups.size() == 1;
  for (size_t i = 0; i < record.groups.size(); ++i) {
    Group& initial = record.groups[i];
    GroupForm form{std::move(initial.recipients), std::move(initial.key), {}, due_us};
    form.attempts.due = fromMicroseconds(due_us);
    const GroupId group_id{form.recipients.front(), 0};
    QueuedGroup& group = attach(message, std::move(form), group_id, static_cast<uint16_t>(i));
    group.place = Place::Fresh;
    const auto key = scheduleKey(id.lane(), group.queue->key, group.position());
    const ScheduleValue value{static_cast<uint16_t>(group.recipients.size()), 0, sole, false};
    ops.put(Family::Schedule, key, encodeSchedule(key, value));
  }
  ++message.pins;  // until the step is acknowledged
  if (isTracking()) trackAccepted(step.tracks, message, origin);
  return message;
}

void ShardQueueImpl::trackAccepted(Tracks& tracks, const QueuedMessage& message,
                                   const Origin& origin) const {
  const Envelope& envelope = *message.envelope;
  TrackEvent event;
  event.kind = TrackKind::Accepted;
  event.id = message.id;
  event.time = envelope.received_at;
  event.recipients.reserve(envelope.recipients.size());
  for (const Recipient& one : envelope.recipients) event.recipients.push_back(one.forward_path);
  event.sender = envelope.reverse_path;
  event.message_id = origin.message_id;
  event.connector = envelope.receive_connector;
  event.address = envelope.client;
  event.tls = origin.tls;
  event.user = origin.user;
  event.size = envelope.content_bytes;
  appendTrack(tracks, event);
}

void ShardQueueImpl::submitStep(std::unique_ptr<Step> step) {
  context_.committer->submit(index_, std::move(step));
}

void ShardQueueImpl::commit(std::unique_ptr<Incoming> incoming, Envelope envelope,
                            std::vector<Group> groups, UniqueFunction<void(Result<void>)> done) {
  auto& received = static_cast<IncomingMessage&>(*incoming);
  envelope.content_bytes = received.size() + envelope.front_fields.size();
  auto checked = checkGroups(envelope, groups);
  if (!checked) return done(std::move(checked));
  if (!context_.committer->writable())
    return done(fail(Errc::Io, context_.committer->whyNotWritable()));
  auto parts = received.takeParts();
  if (parts.failed) return done(fail(Errc::Io, "content could not be written"));
  auto step = std::make_unique<Step>();
  step->kind = Step::Kind::Accept;
  step->undo = std::move(parts.undo);
  step->epoch = parts.epoch;
  QueuedMessage& message =
      prepareAccept(*step, received.id(), std::move(envelope), std::move(groups),
                    parts.early_chunks, std::move(parts.rest), received.origin());
  incoming.reset();
  submitAccept(std::move(step), message, std::move(done));
}

void ShardQueueImpl::submit(NewMessage message, UniqueFunction<void(Result<MessageId>)> done) {
  const MessageId id = ids_.next();
  message.envelope.content_bytes = message.content.size() + message.envelope.front_fields.size();
  auto checked = checkGroups(message.envelope, message.groups);
  if (!checked) return done(tl::unexpected<Error>(checked.error()));
  auto step = std::make_unique<Step>();
  step->kind = Step::Kind::Accept;
  QueuedMessage& queued = prepareAccept(*step, id, std::move(message.envelope),
                                        std::move(message.groups), 0, message.content.slices(), {});
  submitAccept(std::move(step), queued, [id, done = std::move(done)](Result<void> result) mutable {
    if (!done) return;
    if (result)
      done(id);
    else
      done(tl::unexpected<Error>(result.error()));
  });
}

void ShardQueueImpl::submitAccept(std::unique_ptr<Step> step, QueuedMessage& message,
                                  UniqueFunction<void(Result<void>)> done) {
  auto pending = std::make_shared<PendingAccept>();
  pending->step = step.get();
  pending->message = &message;
  pending->done = std::move(done);
  pending->since = loop_.now();
  step->messages = 1;
  step->id = message.id;
  step->on_done = [this, pending](Step& written) { onAccepted(written, *pending); };
  accepts_.push_back(std::move(pending));
  if (!accept_deadline_.armed())
    accept_deadline_.arm(loop_.deadlines(), context_.options.commit_timeout);
  submitStep(std::move(step));
}

void ShardQueueImpl::onAccepted(Step& step, PendingAccept& pending) {
  pending.finished = true;
  auto done = std::move(pending.done);
  QueuedMessage& message = *pending.message;
  while (!accepts_.empty() && accepts_.front()->finished) accepts_.pop_front();
  if (step.error) {
    forget(message);
    if (done) done(tl::unexpected<Error>(*step.error));
  } else {
    queueAccepted(message);
    if (done) done({});
  }
}

void ShardQueueImpl::queueAccepted(QueuedMessage& message) {
  metrics_.accepted.add();
  metrics_.addMessages(message.id.acceptedAt(), 1);
  --message.pins;
  changed(message);
  for (size_t i = 0; i < message.groups.size(); ++i) placeReadyOrWaiting(*message.groups[i]);
  unloadIfDone(message);
}

// It was never ours, or is not any more. A read under way may have seen it: see unloadIfDone().
void ShardQueueImpl::forget(QueuedMessage& message) {
  --message.pins;
  changed(message);
  for (const auto& group : message.groups) {
    leave(*group);
    detach(*group);
  }
  message.groups.clear();
  unloadIfDone(message);
}

void ShardQueueImpl::checkAcceptDeadlines() {
  const SteadyTime now = loop_.now();
  std::vector<UniqueFunction<void(Result<void>)>> late;
  std::vector<std::shared_ptr<Doubt>> doubts;
  while (!accepts_.empty()) {
    PendingAccept& first = *accepts_.front();
    const Duration left = first.since + context_.options.commit_timeout - now;
    if (!first.finished && left > Duration::zero()) {
      accept_deadline_.arm(loop_.deadlines(), left);
      break;
    }
    if (!first.finished && first.step->move(Step::Fate::Open, Step::Fate::Abandoned))
      late.push_back(std::move(first.done));
    else if (!first.finished && first.step->move(Step::Fate::Writing, Step::Fate::Abandoned))
      doubts.push_back(std::make_shared<Doubt>(Doubt{first.step->id, std::move(first.done), now}));
    accepts_.pop_front();
  }
  metrics_.timeouts.add(late.size() + doubts.size());
  if (!doubts.empty()) noteRefused(std::move(doubts));
  for (auto& done : late)
    if (done) done(fail(Errc::Timeout, "the commit took too long and is undone"));
}

// The log may hold them, and they cannot be taken back while a sync hangs.
void ShardQueueImpl::noteRefused(std::vector<std::shared_ptr<Doubt>> doubts) {
  if (doubts_.empty()) doubt_deadline_.arm(loop_.deadlines(), kNoteWithin);
  doubts_.insert(doubts_.end(), doubts.begin(), doubts.end());
  std::vector<MessageId> ids;
  for (const auto& doubt : doubts) ids.push_back(doubt->id);
  context_.readers.urgent([this, ids = std::move(ids), doubts = std::move(doubts)]() mutable {
    const bool noted = context_.refusals->note(ids).has_value();
    loop_.post([noted, doubts = std::move(doubts)] {
      for (const auto& doubt : doubts) {
        if (!doubt->done) continue;
        auto done = std::move(doubt->done);
        doubt->done = nullptr;
        if (noted)
          done(fail(Errc::Timeout, "the commit took too long and is undone"));
        else
          done(fail(Errc::Cancelled, "the commit took too long and may yet succeed"));
      }
    });
  });
}

void ShardQueueImpl::checkDoubts() {
  while (!doubts_.empty()) {
    const std::shared_ptr<Doubt> first = doubts_.front();
    const Duration left = first->since + kNoteWithin - loop_.now();
    if (first->done && left > Duration::zero()) return doubt_deadline_.arm(loop_.deadlines(), left);
    doubts_.pop_front();
    if (!first->done) continue;
    auto done = std::move(first->done);
    first->done = nullptr;
    done(fail(Errc::Cancelled, "the commit took too long and may yet succeed"));
  }
}

void ShardQueueImpl::relieveIncoming() {
  const auto waiting = congested_;
  for (IncomingMessage* incoming : waiting)
    if (std::find(congested_.begin(), congested_.end(), incoming) != congested_.end())
      incoming->relieve();
  if (!congested_.empty()) relief_.arm(loop_.deadlines(), kReliefEvery);
}

}  // namespace sluice::queue
