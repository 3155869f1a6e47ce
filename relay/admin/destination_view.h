// What the administrator's side asks of delivery; implemented in relay/deliver, one a shard, called
// on the shard's loop.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "metrics/destinations.h"
#include "net/base/clock.h"
#include "queue/queue.h"

namespace sluice::relay {

// What holds mail, for whoever is on duty: docs/api.md lists the causes. Without a cause, nothing.
struct Why {
  std::string_view cause;  // a literal
  std::string text;        // one or two sentences
  std::optional<WallTime> since;
  std::optional<WallTime> until;  // it ends by itself
  std::string command;            // changes it
  bool empty() const { return cause.empty(); }
};

inline Why suspendedByHand(const std::string& destination) {
  Why why;
  why.cause = "suspended";
  why.text =
      "Suspended by an administrator: nothing is sent to " + destination + " until it is resumed.";
  why.command = "sluice resume " + destination;
  return why;
}

// One destination as one shard sees it.
struct DestinationStatus {
  std::string destination;  // its name: the domain if it serves one, else its hosts
  std::string connector;
  std::vector<queue::QueueKey> keys;  // the queue keys that it serves
  // "idle" "resolving" "connecting" "delivering" "resting" "suspended" "limited"
  std::string state;
  Why why;
  uint32_t connections = 0;
  std::string last_reply;
  std::optional<WallTime> next_attempt;  // end of its hosts' rest
  // Ends and deferrals so far, in the order of metrics::kDeliveryResults, one a recipient.
  std::array<uint64_t, metrics::kDeliveryResults.size()> results{};
  // Limits in force, over all shards; 0 and empty where they are not known, and where there is none.
  uint32_t max_connections = 0;
  std::string rate;  // "100/s"
};

// How an administrator ends recipients.
enum class HandEnd : uint8_t {
  Bounce,   // with a failure notice
  Discard,  // without one
  Expire,   // as if the lifetime were over: with a failure notice that says so
};

class DestinationView {
 public:
  virtual ~DestinationView() = default;
  virtual std::vector<DestinationStatus> destinations() const = 0;
  // Name of the destination, connector and reason for a queue key, also for one without traffic.
  virtual DestinationStatus destinationOf(const queue::QueueKey& key) const = 0;
  virtual void setSuspended(const std::string& destination, bool suspended) = 0;
  // Forget back-off of the destination's hosts and try at once. Empty: of all.
  virtual void retryNow(const std::string& destination) = 0;
  // Ends a Work by hand, with the event, and the notice where one belongs to it.
  virtual void endByHand(std::unique_ptr<queue::Work> work, HandEnd how) = 0;
  // Queues a Work for a send connector of this name, whatever the routes say, as ready.
  virtual void redirect(std::unique_ptr<queue::Work> work, const std::string& connector) = 0;
};

}  // namespace sluice::relay
