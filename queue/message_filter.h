// Which messages and recipients a MessageFilter means. Pure.
#pragma once

#include <vector>

#include "queue/queue.h"
#include "queue/queue_reader.h"

namespace sluice::queue {

// By id, sender and age; what is asked of the whole message.
bool matchesMessage(const MessageFilter& filter, const MessageId& id, const Envelope& envelope,
                    WallTime now);
// By address, domain and key; what is asked of a recipient, but for its state.
bool matchesRecipient(const MessageFilter& filter, const Recipient& recipient, const QueueKey& key);
// Both, for a message with at least one such recipient.
bool matches(const MessageFilter& filter, const StoredMessage& message, WallTime now);

}  // namespace sluice::queue
