// A walk over the messages that a filter means, a bounded slice at a time. Only for the parts of
// ShardQueueImpl that list and act.
#pragma once

#include <algorithm>

#include "queue/message_filter.h"
#include "queue/shard_reads.h"

namespace sluice::queue {

struct ShardQueueImpl::Search {
  MessageFilter filter;
  std::optional<MessageId> after;
  size_t next_id = 0;  // in filter.ids, if they are given
  bool at_end = false;

  Search(MessageFilter given, std::optional<MessageId> start)
      : filter(std::move(given)), after(start) {
    std::sort(filter.ids.begin(), filter.ids.end());
  }
};

// Calls then(MessageScan) on the loop with the next matching messages, or with nothing if the store
// is shut. Nobody else touches the search meanwhile.
template <class Then>
void ShardQueueImpl::searchOn(std::shared_ptr<Search> search, size_t most_found, Then then) {
  constexpr size_t kMostLookedAt = 5'000;
  constexpr size_t kMostIds = 256;
  const WallTime now = context_.options.clock->wall();
  const auto mine = [shards = context_.shards, index = index_](const MessageId& id) {
    return id.lane() % shards == index;
  };
  readThen(
      [search, most_found, now, mine](const Store::Reading& store) {
        const auto wanted = [&](const StoredMessage& message) {
          return matches(search->filter, message, now);
        };
        if (search->filter.ids.empty()) {
          MessageScan scan =
              scanMessages(store, search->after, kMostLookedAt, most_found, mine, wanted);
          search->after = scan.resume_after;
          search->at_end = !scan.resume_after;
          return scan;
        }
        MessageScan scan;
        const auto& ids = search->filter.ids;
        for (size_t looked = 0; search->next_id < ids.size(); ++search->next_id) {
          const MessageId& id = ids[search->next_id];
          if (search->after && id <= *search->after) continue;
          if (looked++ == kMostIds || scan.messages.size() == most_found) return scan;
          if (!mine(id)) continue;
          auto message = readMessage(store, id);
          if (message && wanted(*message))
            scan.messages.push_back(std::move(*message));
          else if (!message && message.error().code == Errc::Corrupt)
            scan.damaged.push_back(id);
        }
        search->at_end = true;
        return scan;
      },
      std::move(then));
}

}  // namespace sluice::queue
