#include "relay/deliver/tls_policy.h"

namespace sluice::relay {
namespace {

constexpr uint16_t kSubmissionsPort = 465;

}  // namespace

TlsDemand tlsDemand(SendTls policy, Route route, uint16_t port) {
  using When = TlsDemand::When;
  TlsDemand demand;
  switch (policy) {
    case SendTls::Off:
      return demand;
    case SendTls::Opportunistic:
      demand = {When::IfOffered, false, true};
      break;
    case SendTls::Required:
      demand = {When::Always, false, false};
      break;
    case SendTls::Verify:
    case SendTls::Dane:    // refused with the configuration as long as it is not there: never less
    case SendTls::MtaSts:  // than this
      demand = {When::Always, true, false};
      break;
  }
  if (route == Route::SmartHost && port == kSubmissionsPort) {
    demand.when = When::FromTheStart;
    demand.may_fall_back = false;  // nobody speaks plaintext there
  }
  return demand;
}

void PlainHosts::add(const Endpoint& host, SteadyTime now) {
  if (until_.size() >= kMaxHosts && !until_.contains(host)) until_.erase(until_.begin());
  until_[host] = now + kRemembered;
}

bool PlainHosts::contains(const Endpoint& host, SteadyTime now) {
  const auto found = until_.find(host);
  if (found == until_.end()) return false;
  if (found->second > now) return true;
  until_.erase(found);
  return false;
}

}  // namespace sluice::relay
