// Looking: the state of keys, pages of messages, content for an administrator.
#include <algorithm>

#include "queue/shard_search.h"

namespace sluice::queue {
namespace {

constexpr size_t kMostListed = 1'000;  // of one page
constexpr int kMostSlices = 40;        // looked through for one page

uint64_t unsignedOf(int64_t value) { return static_cast<uint64_t>(std::max<int64_t>(0, value)); }

}  // namespace

std::vector<KeyStatus> ShardQueueImpl::status() const {
  std::vector<KeyStatus> all;
  all.reserve(keys_.size());
  for (const auto& [key, queue] : keys_) {
    if (queue->totalGroups() <= 0) continue;
    KeyStatus one;
    one.key = key;
    one.ready = unsignedOf(queue->in_window.recipients + queue->disk_ready.recipients);
    one.active = unsignedOf(queue->active.recipients);
    one.deferred = unsignedOf(queue->waiting.recipients);
    one.held = unsignedOf(queue->held.recipients + queue->set_aside.recipients);
    if (queue->oldest_us != kNeverDue) one.oldest = fromMicroseconds(queue->oldest_us);
    if (queue->earliest_due_us != kNeverDue) one.next_due = clock_.toWall(queue->earliest_due_us);
    all.push_back(std::move(one));
  }
  return all;
}

struct ShardQueueImpl::Listing {
  std::shared_ptr<Search> search;
  size_t limit = 0;
  int slices_left = kMostSlices;
  MessagePage page;
  UniqueFunction<void(Result<MessagePage>)> done;
};

void ShardQueueImpl::list(MessageFilter filter, std::optional<MessageId> after, size_t limit,
                          UniqueFunction<void(Result<MessagePage>)> done) {
  auto listing = std::make_shared<Listing>();
  listing->search = std::make_shared<Search>(std::move(filter), after);
  listing->limit = std::clamp<size_t>(limit, 1, kMostListed);
  listing->done = std::move(done);
  continueListing(std::move(listing));
}

void ShardQueueImpl::continueListing(std::shared_ptr<Listing> listing) {
  // One more than is wanted, to know whether there is a next page.
  const size_t most = listing->limit + 1 - listing->page.items.size();
  searchOn(listing->search, most, [this, listing](std::optional<MessageScan> scan) mutable {
    if (!scan) return listing->done(fail(Errc::Busy, "the store is being opened again"));
    const auto& state = listing->search->filter.state;
    for (const StoredMessage& stored : scan->messages) {
      auto status = statusOf(stored);
      const auto in_state = [&](const RecipientStatus& one) { return one.state == *state; };
      if (!status ||
          (state && std::none_of(status->recipients.begin(), status->recipients.end(), in_state)))
        continue;
      listing->page.items.push_back(std::move(*status));
    }
    auto& items = listing->page.items;
    const bool more = items.size() <= listing->limit && !listing->search->at_end;
    if (more && --listing->slices_left > 0) return continueListing(std::move(listing));
    // A filter that matches next to nothing: what there is until now, and where to go on.
    if (more) listing->page.next = listing->search->after;
    if (items.size() > listing->limit) {
      items.resize(listing->limit);
      listing->page.next = items.back().id;
    }
    listing->done(std::move(listing->page));
  });
}

RecipientState ShardQueueImpl::stateOf(const QueuedGroup& group) const {
  if (group.place == Place::Active || group.place == Place::Writing) return RecipientState::Active;
  if (group.due_us == kNeverDue) return RecipientState::Held;
  return group.due_us <= clock_.now() ? RecipientState::Ready : RecipientState::Deferred;
}

// What is stored, or what the shard knows better. Nothing if it has ended.
std::optional<MessageStatus> ShardQueueImpl::statusOf(const StoredMessage& stored) {
  MessageStatus status{stored.id, stored.envelope, {}};
  const auto add = [&](const auto& group, const QueueKey& key, RecipientState state) {
    for (const uint16_t recipient : group.recipients) {
      RecipientStatus one;
      one.recipient = stored.envelope->recipients[recipient].forward_path;
      one.key = key;
      one.state = state;
      one.attempts = group.attempts;
      if (state == RecipientState::Deferred || state == RecipientState::Ready)
        one.next_attempt = clock_.toWall(group.due_us);
      status.recipients.push_back(std::move(one));
    }
  };
  const QueuedMessage* loaded = findLoaded(stored.id);
  if (!loaded) {
    const uint64_t now = clock_.now();
    for (const StoredGroup& group : stored.groups)
      add(group, group.key,
          group.due_us == kNeverDue ? RecipientState::Held
          : group.due_us <= now     ? RecipientState::Ready
                                    : RecipientState::Deferred);
    return status;
  }
  for (const auto& group : loaded->groups) {
    // What a group is about to become shows when it is written.
    const bool shown = group->place != Place::Fresh ||
                       std::none_of(loaded->groups.begin(), loaded->groups.end(),
                                    [](const auto& one) { return one->place == Place::Writing; });
    if (shown) add(*group, group->queue->key, stateOf(*group));
  }
  if (status.recipients.empty()) return std::nullopt;
  return status;
}

void ShardQueueImpl::readContent(const MessageId& id,
                                 UniqueFunction<void(Result<ByteChain>)> done) {
  if (const QueuedMessage* message = findLoaded(id); message && message->content_in_memory) {
    ByteChain content;
    for (const Slice& slice : message->content) content.append(slice);
    return done(std::move(content));
  }
  readThen(
      [id](const Store::Reading& store) -> Result<ByteChain> {
        ASSIGN_OR_RETURN(const auto record, readEnvelopeRecord(store, id));
        ByteChain content;
        content.append(record.envelope->front_fields);
        for (uint32_t chunk = 0; chunk < record.chunks; ++chunk) {
          ASSIGN_OR_RETURN(auto block, sluice::queue::readChunk(store, id, chunk));
          const std::string_view bytes = block->view();
          content.append(Slice{std::move(block), bytes});
        }
        return content;
      },
      [done = std::move(done)](std::optional<Result<ByteChain>> content) mutable {
        if (content)
          done(std::move(*content));
        else
          done(fail(Errc::Busy, "the store is being opened again"));
      });
}

}  // namespace sluice::queue
