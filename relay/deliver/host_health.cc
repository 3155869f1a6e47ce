#include "relay/deliver/host_health.h"

#include <algorithm>

namespace sluice::relay {

Duration restAfter(unsigned failures, Duration first, Duration longest) {
  Duration rest = first;
  for (unsigned i = 1; i < failures && rest < longest; ++i) rest *= 2;
  return std::min(rest, longest);
}

SteadyTime HostHealth::restsUntil(const Endpoint& host) const {
  const auto found = hosts_.find(host);
  return found == hosts_.end() ? SteadyTime{} : found->second.rests_until;
}

void HostHealth::failed(const Endpoint& host, SteadyTime now, Duration first_rest,
                        Duration longest_rest) {
  if (hosts_.size() >= kMaxHosts && !hosts_.contains(host)) {
    std::erase_if(hosts_, [now](const auto& entry) { return entry.second.rests_until <= now; });
    if (hosts_.size() >= kMaxHosts) return;
  }
  Record& record = hosts_[host];
  // Several connections that fail in one rest are one failure.
  if (record.rests_until > now) return;
  ++record.failures;
  record.rests_until = now + std::chrono::duration_cast<SteadyTime::duration>(
                                 restAfter(record.failures, first_rest, longest_rest));
}

}  // namespace sluice::relay
