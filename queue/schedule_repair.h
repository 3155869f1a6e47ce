// The schedule can be made again from envelopes and states. That is done after a start if a part of
// it cannot be read: what is due would otherwise never be found. Reading all of it takes a second
// for some million entries, so mail is taken meanwhile.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "queue/queue_context.h"

namespace sluice::queue {

// Whether an earlier repair was cut off.
bool isHalfRepaired(const Store& store);

// What is wrong with the next slice of the schedule, from behind `resume` on; empty if nothing is.
// Moves `resume` on, and clears it at the end.
std::string damageOfSlice(const Store::Reading& store, std::string& resume);

// Writes it anew. Nobody else writes to the store or reads from it meanwhile. Errors: Io, NoSpace:
// the next start begins again.
Result<void> repairSchedule(QueueContext& context, const std::string& damage);

}  // namespace sluice::queue
