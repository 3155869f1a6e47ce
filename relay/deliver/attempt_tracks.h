// What an attempt, or a hand, made of each recipient, as tracking keeps it: recipients that fared
// alike are one event.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "queue/queue.h"
#include "relay/deliver/outcome.h"

namespace sluice::relay {

struct AttemptPlace;

class AttemptTracks {
 public:
  void add(queue::TrackKind kind, uint16_t recipient, const Verdict& verdict, uint32_t attempts);
  // Gives all to `work`. `next` is when what was deferred is due.
  void keepWith(queue::Work& work, const AttemptPlace& place, WallTime now,
                std::optional<WallTime> next);

 private:
  struct Fate {
    queue::TrackKind kind;
    int code;
    std::string status;
    std::string reply;
    uint32_t attempts;
    std::vector<uint16_t> recipients;
  };
  std::vector<Fate> fates_;
};

}  // namespace sluice::relay
