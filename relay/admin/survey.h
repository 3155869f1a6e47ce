// Destinations and their queues as one shard sees them, and the merge of all shards. Pure, but for
// lookAt(), which asks a shard's queue and delivery on its loop.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "queue/queue.h"
#include "relay/admin/control.h"
#include "relay/admin/destination_view.h"

namespace sluice::relay {

struct ShardSurvey {
  std::vector<queue::KeyStatus> keys;
  std::vector<DestinationStatus> destinations;  // between them they serve all of `keys`
  std::vector<DestinationStatus> standing;      // of `standing_keys`, maybe without traffic
};

ShardSurvey lookAt(const queue::ShardQueue& queue, const DestinationView& view,
                   std::span<const queue::QueueKey> standing_keys);

bool rests(const DestinationStatus& destination);

// One a destination, in no order.
std::vector<QueueStatus> mergeSurveys(std::vector<ShardSurvey> shards);

// The recipient as it is to be shown: ready for a destination that rests is deferred until then.
MessageView::Recipient showRecipient(queue::RecipientStatus status,
                                     const DestinationStatus& destination);

}  // namespace sluice::relay
