// The dispatcher as an administrator sees it: why each key waits, and suspending, resuming,
// retrying and ending by hand.
#include <algorithm>
#include <utility>

#include "relay/config/units.h"
#include "relay/deliver/dispatcher.h"
#include "relay/route/destination_name.h"
#include "relay/route/redirected_key.h"

namespace sluice::relay {

bool Dispatcher::matches(const std::string& name, const queue::QueueKey& key,
                         const Destination* destination) const {
  return name == key || name == nameFor(key) || (destination && name == destination->name());
}

bool Dispatcher::isSuspended(const queue::QueueKey& key, const Destination* destination) const {
  if (suspended_.empty()) return false;
  return std::any_of(suspended_.begin(), suspended_.end(),
                     [&](const std::string& name) { return matches(name, key, destination); });
}

bool Dispatcher::suspended(const Destination& destination, const queue::QueueKey& key) const {
  return isSuspended(key, &destination);
}

std::string Dispatcher::nameFor(const queue::QueueKey& key) const {
  if (!isSmartHostKey(key)) return key;
  const auto redirected = parseRedirectedKey(key);
  const SendConfig* connector = context_.router->connector(
      redirected ? redirected->connector : std::string_view(key).substr(1));
  if (!connector) return key;
  if (connector->route == Route::Mx && redirected) {
    return std::string(redirected->domain) + " by " + connector->name;
  }
  std::vector<std::string> hosts;
  for (const SmartHost& host : connector->smart_hosts) hosts.push_back(smartHostName(host));
  return destinationName("", hosts);
}

void Dispatcher::setSuspended(const std::string& destination, bool suspended) {
  if (suspended) {
    suspended_.insert(destination);
  } else if (suspended_.erase(destination) > 0) {
    for (const queue::QueueKey& key : context_.queue.readyKeys()) onReady(key);
  }
}

void Dispatcher::retryNow(const std::string& destination) {
  context_.health.forgetAll();
  std::vector<queue::QueueKey> keys;
  for (const auto& [key, record] : keys_) {
    if (!destination.empty() && !matches(destination, key, record->destination)) continue;
    record->rest.cancel();
    record->level = 0;
    record->level_until = {};
    keys.push_back(key);
  }
  for (const auto& [identity, one] : destinations_) {
    if (destination.empty() || one->name() == destination) one->stopResting();
  }
  for (const queue::QueueKey& key : keys) onReady(key);
}

void Dispatcher::endByHand(std::unique_ptr<queue::Work> work, HandEnd how) {
  const DestinationStatus status = destinationOf(work->key());
  AttemptPlace place;
  place.connector = status.connector;
  place.destination = status.destination;
  settler_.endByHand(std::move(work), how, place);
}

// A connector that a reload took away meanwhile leaves the mail where it is.
void Dispatcher::redirect(std::unique_ptr<queue::Work> work, const std::string& connector) {
  const SendConfig* to = context_.router->connector(connector);
  if (to != nullptr) settler_.redirect(std::move(work), *to);
}

DestinationStatus Dispatcher::destinationOf(const queue::QueueKey& key) const {
  DestinationStatus status;
  status.keys = {key};
  status.destination = nameFor(key);
  status.state = "idle";
  const auto routes = context_.router->routeOfKey(key);
  if (routes) status.connector = routes->best().name;
  const auto found = keys_.find(key);
  const KeyRecord* record = found == keys_.end() ? nullptr : found->second.get();
  const SteadyTime now = context_.loop.now();
  const auto at = [&](SteadyTime when) {
    return context_.loop.wallNow() +
           std::chrono::duration_cast<std::chrono::microseconds>(when - now);
  };
  if (record && record->looking_up) status.state = "resolving";
  if (record && record->rest.armed()) {
    status.state = "resting";
    status.why = status.last_reply = record->why;
    status.next_attempt = at(record->rests_until);
  }
  const Destination* destination = record ? record->destination : nullptr;
  if (destination) {
    status.destination = destination->name();
    status.connector = destination->hops().connector->name;
    status.state = destination->stateName();
    status.max_connections = static_cast<uint32_t>(destination->hops().limits.max_connections);
    status.rate = formatRate(destination->hops().limits.rate);
    status.connections = static_cast<uint32_t>(destination->connections());
    status.last_reply = destination->lastReply();
    if (destination->resting()) {
      status.why = destination->restReason();
      status.next_attempt = at(destination->restsUntil());
    }
    if (status.state == "limited") status.why = "the destination's rate or connection limit";
  }
  const auto counted = context_.results.find(status.destination);
  if (counted != context_.results.end()) status.results = counted->second;
  if (!routes && status.why.empty()) status.why = "no send connector matches";
  if (isSuspended(key, destination)) {
    status.state = "suspended";
    status.why = "suspended by an administrator";
  }
  return status;
}

std::vector<DestinationStatus> Dispatcher::destinations() const {
  std::unordered_map<std::string, DestinationStatus> by_name;
  for (const auto& [key, record] : keys_) {
    DestinationStatus status = destinationOf(key);
    const auto [at, fresh] = by_name.try_emplace(status.destination, status);
    if (!fresh) at->second.keys.push_back(key);
  }
  std::vector<DestinationStatus> out;
  for (auto& [name, status] : by_name) out.push_back(std::move(status));
  return out;
}

}  // namespace sluice::relay
