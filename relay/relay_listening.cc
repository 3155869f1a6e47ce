// What a reload changes of where we listen: new addresses are bound before anything changes, and
// old ones are left when the new ones are listened on.
#include <unistd.h>

#include <algorithm>

#include "net/listener.h"
#include "relay/relay.h"

namespace sluice::relay {
namespace {

constexpr std::chrono::seconds kAnswerTime{10};  // of a loop

const ReceiveConfig* find(const Config& config, const std::string& name) {
  const auto found = std::find_if(config.receive.begin(), config.receive.end(),
                                  [&](const ReceiveConfig& one) { return one.name == name; });
  return found == config.receive.end() ? nullptr : &*found;
}

struct ListenPlace {
  std::string connector;
  Endpoint at;
};

// Addresses of `these` connectors that the connectors of the same names do not have among `those`.
std::vector<ListenPlace> onlyIn(const Config& these, const Config& those) {
  std::vector<ListenPlace> places;
  for (const ReceiveConfig& connector : these.receive) {
    const ReceiveConfig* other = find(those, connector.name);
    for (const Endpoint& at : connector.listen) {
      const bool both = other != nullptr && std::find(other->listen.begin(), other->listen.end(),
                                                      at) != other->listen.end();
      if (!both) places.push_back({connector.name, at});
    }
  }
  return places;
}

}  // namespace

// One of ours on the same port may be about to go: then only its sharing tells whether it is free.
Result<void> Relay::probeUnlessOurs(const Endpoint& at) const {
  const bool ours = std::any_of(
      listeners_.bound.begin(), listeners_.bound.end(), [&](const BoundListener& bound) {
        return bound.at.port == at.port && bound.at.address.isV4() == at.address.isV4();
      });
  return ours ? Result<void>() : net::probeListener(at);
}

Result<std::vector<BoundListener>> Relay::bindNew(const Config& next) const {
  for (const ListenPlace& place : onlyIn(*plan_.config, next)) {
    if (place.at.port == 0 || listeners_.handed.find(place.at) != nullptr) {
      return fail(Errc::InvalidArgument, "needs a restart, nothing was changed: [[receive]] \"" +
                                             place.connector + "\" listen " + place.at.toString());
    }
  }
  std::vector<BoundListener> added;
  Result<void> result;
  for (const ListenPlace& place : onlyIn(next, *plan_.config)) {
    result = probeUnlessOurs(place.at);
    BoundListener bound{place.connector, place.at, {}};
    for (size_t i = 0; i < shard_count_ && result; ++i) {
      auto socket = net::bindListener(bound.at);
      if (!socket) {
        result = tl::unexpected<Error>(socket.error());
      } else {
        bound.sockets.push_back(*socket);
        bound.at = net::localEndpoint(*socket);
      }
    }
    added.push_back(std::move(bound));
    if (!result) break;
  }
  if (result) return added;
  closeUnused(added);
  return tl::unexpected<Error>(result.error());
}

void Relay::closeUnused(const std::vector<BoundListener>& added) {
  for (const BoundListener& bound : added) {
    for (const int socket : bound.sockets) ::close(socket);
  }
}

Result<void> Relay::moveListeners(std::vector<BoundListener> added, const Config& before) {
  const std::vector<ListenPlace> gone = onlyIn(before, *plan_.config);
  if (added.empty() && gone.empty()) return {};
  for (BoundListener& bound : added) RETURN_IF_ERROR(listenOn(bound));
  std::erase_if(listeners_.bound, [&](const BoundListener& bound) {
    return std::any_of(gone.begin(), gone.end(), [&](const ListenPlace& place) {
      return place.connector == bound.connector && place.at == bound.at;
    });
  });
  listeners_.bound.insert(listeners_.bound.end(), added.begin(), added.end());
  std::vector<Endpoint> own;
  for (const BoundListener& bound : listeners_.bound) own.push_back(bound.at);
  const bool answered = onShards(
      [gone, own](Shard& shard, size_t, Task done) {
        for (const ListenPlace& place : gone) shard.stopListening(place.connector, place.at);
        shard.setOwnListeners(own);
        done();
      },
      kAnswerTime);
  if (!answered) return fail(Errc::Timeout, "the event loops do not answer");
  for (const ListenPlace& place : gone) {
    log_.log({LogLevel::Info,
              "listening_ended",
              {{"connector", place.connector}, {"address", place.at.toString()}}});
  }
  return {};
}

}  // namespace sluice::relay
