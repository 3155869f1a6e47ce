#include "relay/deliver/host_quirks.h"

namespace sluice::relay {

bool HostQuirks::lacks(const Endpoint& host, Extension extension, SteadyTime now) const {
  if (hosts_.empty()) return false;
  const auto found = hosts_.find(host);
  return found != hosts_.end() && found->second[static_cast<size_t>(extension)] > now;
}

void HostQuirks::note(const Endpoint& host, Extension extension, SteadyTime now) {
  if (hosts_.size() >= kMaxHosts && !hosts_.contains(host)) {
    std::erase_if(hosts_, [now](const auto& entry) {
      return entry.second[0] <= now && entry.second[1] <= now;
    });
    if (hosts_.size() >= kMaxHosts) hosts_.erase(hosts_.begin());
  }
  hosts_[host][static_cast<size_t>(extension)] = now + kRemembered;
}

void HostQuirks::forget(const Endpoint& host, Extension extension) {
  const auto found = hosts_.find(host);
  if (found != hosts_.end()) found->second[static_cast<size_t>(extension)] = {};
}

}  // namespace sluice::relay
