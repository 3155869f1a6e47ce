// What holds a queue, or a recipient of a message? What delivery knows, put together with where
// the queue has it.
#pragma once

#include "relay/admin/control.h"

namespace sluice::relay {

// Empty when there is no mail or nothing holds it.
Why whyOf(const QueueStatus& queue);
// `stored` is the queue's word for its state, `status` what is shown of it.
Why whyOf(queue::RecipientState stored, const queue::RecipientStatus& status,
          const DestinationStatus& destination);

}  // namespace sluice::relay
