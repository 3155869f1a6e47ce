// The names of a recipient's states, as people see them.
#include "queue/recipient_state.h"

namespace sluice::queue {

std::string_view toString(RecipientState state) {
  switch (state) {
    case RecipientState::Ready:
      return "ready";
    case RecipientState::Active:
      return "active";
    case RecipientState::Deferred:
      return "deferred";
    case RecipientState::Held:
      return "held";
  }
  return "unknown";
}

}  // namespace sluice::queue
