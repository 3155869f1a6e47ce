#include "relay/admin/why.h"

#include <fmt/format.h>

namespace sluice::relay {
namespace {

using queue::RecipientState;

// These hold everything for a destination, whatever else holds it.
bool holdsAll(const Why& why) { return why.cause == "suspended" || why.cause == "no_route"; }

}  // namespace

Why whyOf(const QueueStatus& queue) {
  const DestinationStatus& destination = queue.destination;
  const uint64_t waiting = queue.ready + queue.deferred + queue.held;
  if (holdsAll(destination.why)) return destination.why;
  if (waiting == 0) return {};
  if (!destination.why.empty() && (queue.ready > 0 || destination.state == "resting")) {
    return destination.why;
  }
  Why why;
  if (queue.ready > 0) {
    why.cause = "turn";
    why.text = fmt::format("{} recipients are ready and wait for their turn.", queue.ready);
  } else if (queue.deferred > 0) {
    why.cause = "retry";
    why.text = fmt::format("{} recipients wait for their next attempt by the retry schedule.",
                           queue.deferred);
    if (!destination.last_reply.empty()) {
      why.text += fmt::format(" The last reply was: {}", destination.last_reply);
    }
    why.until = destination.next_attempt;
    why.command = "sluice retry --destination " + destination.destination;
  } else {
    why.cause = "held";
    why.text = fmt::format("{} recipients are held by an administrator until they are released.",
                           queue.held);
    why.command = "sluice release --destination " + destination.destination;
  }
  return why;
}

Why whyOf(RecipientState stored, const queue::RecipientStatus& status,
          const DestinationStatus& destination) {
  Why why;
  switch (stored) {
    case RecipientState::Active:
      return why;
    case RecipientState::Held:
      why.cause = "held";
      why.text = "Held by an administrator: nothing is tried until it is released.";
      why.command = "sluice release";
      return why;
    case RecipientState::Deferred:
      if (holdsAll(destination.why)) return destination.why;
      why.cause = "retry";
      why.text = fmt::format(
          "Attempt {} did not succeed: {}. The next one is due by the retry "
          "schedule.",
          status.attempts.attempts,
          status.attempts.last_reply.empty() ? "no reply is known" : status.attempts.last_reply);
      why.until = status.next_attempt;
      why.command = "sluice retry";
      return why;
    case RecipientState::Ready:
      break;
  }
  if (!destination.why.empty()) return destination.why;
  why.cause = "turn";
  why.text = fmt::format("Ready, and waits for its turn on {} connections to {}.",
                         destination.connections, destination.destination);
  return why;
}

}  // namespace sluice::relay
