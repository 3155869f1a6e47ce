// What the dashboard is told every two seconds: the relay's status, its totals, and what hurts.
#pragma once

#include <string>

#include "metrics/registry.h"
#include "relay/admin/control.h"
#include "relay/admin/destination_board.h"

namespace sluice::relay {

// One line of JSON; docs/api.md says what is in it. Totals are since the start: who reads makes
// rates and percentiles of the differences, and may miss samples.
std::string liveSample(Control& control, const metrics::Registry& registry,
                       DestinationBoard& board);

}  // namespace sluice::relay
