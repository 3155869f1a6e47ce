// The dispatcher as an administrator sees it: why each key waits, and suspending, resuming,
// retrying and ending by hand.
#include <fmt/format.h>

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
  const std::string_view way = withoutWish(key);
  if (!isSmartHostKey(key)) return std::string(way);
  const auto redirected = parseRedirectedKey(way);
  const SendConfig* connector =
      context_.router->connector(redirected ? redirected->connector : way.substr(1));
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
  if (record && record->looking_up) status.state = "resolving";
  if (record && record->rest.armed()) {
    status.state = "resting";
    status.last_reply = record->why;
    status.next_attempt = wallAt(record->rests_until);
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
    if (destination->resting()) status.next_attempt = wallAt(destination->restsUntil());
  }
  if (record) status.why = whyOf(*record, status);
  const auto counted = context_.results.find(status.destination);
  if (counted != context_.results.end()) status.results = counted->second;
  if (!routes) {
    status.why.cause = "no_route";
    status.why.text = fmt::format(
        "No send connector takes mail for {}: none of the address_spaces of the [[send]] sections "
        "holds it.",
        status.destination);
    status.why.command = "sluice reload";
  }
  if (isSuspended(key, destination)) {
    status.state = "suspended";
    status.why = suspendedByHand(status.destination);
  }
  return status;
}

WallTime Dispatcher::wallAt(SteadyTime when) const {
  return context_.loop.wallNow() +
         std::chrono::duration_cast<std::chrono::microseconds>(when - context_.loop.now());
}

Why Dispatcher::whyOf(const KeyRecord& record, const DestinationStatus& status) const {
  Why why;
  if (record.looking_up) {
    why.cause = "resolving";
    why.text = fmt::format("The hosts of {} are being looked up in the DNS.", status.destination);
  } else if (record.rest.armed()) {
    why.cause = "dns";
    why.text = fmt::format(
        "The DNS does not say where mail for {} goes: {}. All its mail waits, and it is asked "
        "again "
        "by itself.",
        status.destination, record.why);
    why.since = wallAt(record.rests_since);
    why.until = wallAt(record.rests_until);
    why.command = "sluice retry --destination " + status.destination;
  } else if (record.destination) {
    why = whyHeld(*record.destination, status);
  }
  return why;
}

Why Dispatcher::whyHeld(const Destination& destination, const DestinationStatus& status) const {
  using What = Destination::Hold::What;
  const Destination::Hold hold = destination.hold();
  const std::string& name = status.destination;
  const DeliveryLimits& limits = destination.hops().limits;
  Why why;
  if (hold.since) why.since = wallAt(*hold.since);
  if (hold.until) why.until = wallAt(*hold.until);
  switch (hold.what) {
    case What::Nothing:
      break;
    case What::Rests:
      why.cause = "hosts_rest";
      why.text = fmt::format(
          "No host of {} takes mail at the moment: {}. All its mail waits, and one is tried again "
          "by itself.",
          name, destination.restReason());
      why.command = "sluice retry --destination " + name;
      break;
    case What::Connecting:
      why.cause = "connecting";
      why.text = fmt::format("Connections to {} are being opened.", name);
      break;
    case What::Connections:
      why.cause = "connections";
      if (hold.by_hosts) {
        why.text = fmt::format(
            "{} connections to {} are busy. That is what its hosts bear for now: they push back, "
            "or "
            "have not been tried with more. Each success adds one, up to max_connections = {}.",
            status.connections, name, limits.max_connections);
      } else {
        why.text = fmt::format(
            "All {} connections that may be open to {} are busy (max_connections of connector {} "
            "or "
            "of a [[destination]]).",
            limits.max_connections, name, status.connector);
        why.command = "sluice reload";
      }
      break;
    case What::Rate:
      why.cause = "rate";
      why.text = fmt::format(
          "The rate for {} is used up for the moment: at most {} (rate of connector {} or of a "
          "[[destination]]).",
          name, formatRate(limits.rate), status.connector);
      why.command = "sluice reload";
      break;
    case What::Turn:
      why.cause = "turn";
      why.text = fmt::format("Ready, and waits for its turn on {} connections to {}.",
                             status.connections, name);
      break;
  }
  return why;
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
