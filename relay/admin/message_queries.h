// Messages of all shards: listed in one order, and acted upon.
//
// Asked from a thread that waits; see relay/admin/shard_calls.h.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "net/loop.h"
#include "relay/admin/control.h"

namespace sluice::relay {

struct Shards {
  queue::Queue* queue;
  std::vector<net::Loop*> loops;
  std::vector<DestinationView*> views;
  std::chrono::milliseconds timeout;
};

using MessageFilters = std::vector<queue::MessageFilter>;

// Messages that any of the filters chooses, at most `limit`, by id.
Result<MessageListing> listMessages(const Shards& shards, const MessageFilters& filters,
                                    std::optional<queue::MessageId> after, size_t limit);

// Sums over filters and shards. `connector` is where Redirect leads.
Result<queue::ActionResult> actOnMessages(const Shards& shards, MessageAction action,
                                          const MessageFilters& filters,
                                          const std::string& connector = {});

Result<ByteChain> readMessage(const Shards& shards, const queue::MessageId& id);

}  // namespace sluice::relay
