// The schedule can be made again from envelopes and states. That is done at the start if a part of
// it cannot be read: what is due would otherwise never be found.
#pragma once

#include "queue/queue_context.h"

namespace sluice::queue {

// Before anything else uses the store. Reads the whole schedule once. Errors: Io, NoSpace.
Result<void> repairSchedule(QueueContext& context);

}  // namespace sluice::queue
