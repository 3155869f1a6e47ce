#include "relay/deliver/attempt_tracks.h"

#include <algorithm>

#include "relay/deliver/settler.h"

namespace sluice::relay {

using queue::TrackKind;

void AttemptTracks::add(TrackKind kind, uint16_t recipient, const Verdict& verdict,
                        uint32_t attempts) {
  constexpr size_t kMostLookedAt = 8;
  for (size_t i = fates_.size() - std::min(fates_.size(), kMostLookedAt); i < fates_.size(); ++i) {
    Fate& fate = fates_[i];
    if (fate.kind == kind && fate.code == verdict.code && fate.attempts == attempts &&
        fate.status == verdict.status && fate.reply == verdict.text) {
      return fate.recipients.push_back(recipient);
    }
  }
  fates_.push_back({kind, verdict.code, verdict.status, verdict.text, attempts, {recipient}});
}

void AttemptTracks::keepWith(queue::Work& work, const AttemptPlace& place, WallTime now,
                             std::optional<WallTime> next) {
  queue::TrackEvent event;
  event.id = work.id();
  event.time = now;
  event.connector = place.connector;
  event.destination = place.destination;
  event.mx = place.mx;
  event.address = place.address;
  event.tls = place.tls;
  event.took = std::chrono::duration_cast<std::chrono::microseconds>(place.took);
  for (const Fate& fate : fates_) {
    event.kind = fate.kind;
    event.code = static_cast<uint32_t>(fate.code);
    event.status = fate.status;
    event.reply = fate.reply;
    event.attempts = fate.attempts;
    event.next_attempt = fate.kind == TrackKind::Deferred ? next : std::nullopt;
    event.recipients.clear();
    for (const uint16_t recipient : fate.recipients) {
      event.recipients.push_back(work.envelope().recipients[recipient].forward_path);
    }
    work.track(event);
  }
  fates_.clear();
}

}  // namespace sluice::relay
