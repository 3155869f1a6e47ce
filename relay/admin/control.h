// What the admin API and the commands behind it can ask of a running relay. Any thread; calls block
// until the shards have answered (bounded by a few seconds: Errc::Timeout).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "queue/queue.h"
#include "relay/admin/destination_view.h"
#include "relay/admin/message_choice.h"

namespace sluice::relay {

// A destination summed over the shards, with its queue. What is ready for a destination whose hosts
// rest counts as deferred until the rest ends.
struct QueueStatus {
  DestinationStatus destination;
  uint64_t ready = 0;
  uint64_t active = 0;
  uint64_t deferred = 0;
  uint64_t held = 0;
  std::optional<WallTime> oldest;
};

struct Readiness {
  bool ready = false;
  std::string why_not;
};

struct RelayStatus {
  std::string version;
  std::string hostname;
  WallTime started_at{};
  bool ready = false;
  bool draining = false;
  std::string why_not_ready;
  size_t shards = 0;
  queue::StoreHealth store;
  uint64_t ready_recipients = 0, active = 0, deferred = 0, held = 0;
  std::optional<WallTime> oldest;
  uint64_t connections_in = 0;         // of clients
  uint64_t connections_out = 0;        // to destinations
  std::optional<WallTime> drain_ends;  // while it drains: at the latest
  std::vector<int64_t> ages;  // messages under each of queue::AgeCounts::kBounds, and older ones
};

// A queued message with the destinations that its recipients leave for.
struct MessageView {
  struct Recipient {
    queue::RecipientStatus status;
    std::string destination;
    std::string connector;  // the send connector
    Why why;                // it waits
  };
  queue::MessageId id;
  std::shared_ptr<const queue::Envelope> envelope;
  std::vector<Recipient> recipients;
};

struct MessageListing {
  std::vector<MessageView> items;        // by id, which is by time
  std::optional<queue::MessageId> next;  // ask again with `after` set to it
};

enum class MessageAction { Retry, Hold, Release, Bounce, Discard, Expire, Redirect };

// In all choices, key_or_domain may also be the name of a destination.
class Control {
 public:
  virtual ~Control() = default;
  // Does not ask the shards: cheap enough for a probe every second.
  virtual Readiness readiness() = 0;
  virtual RelayStatus status() = 0;
  virtual Result<std::vector<QueueStatus>> queues() = 0;  // by name
  // Each queue in no order and without a copy, for those who only count.
  virtual Result<void> visitQueues(const std::function<void(const QueueStatus&)>& visit) = 0;
  virtual Result<MessageListing> messages(const MessageChoice& choice,
                                          std::optional<queue::MessageId> after, size_t limit) = 0;
  // Errors: NotFound.
  virtual Result<MessageView> message(const queue::MessageId& id) = 0;
  virtual Result<ByteChain> content(const queue::MessageId& id) = 0;
  // `connector` is where Redirect leads. Errors: NotFound (no such connector).
  virtual Result<queue::ActionResult> act(MessageAction action, const MessageChoice& choice,
                                          const std::string& connector = {}) = 0;
  // How many messages an action would be tried on; changes nothing.
  virtual Result<queue::ActionResult> count(const MessageChoice& choice) = 0;
  // Errors: NotFound. Suspensions outlive a restart. Gives whether anything changed.
  virtual Result<bool> suspend(const std::string& destination, bool suspended) = 0;
  virtual Result<queue::ActionResult> retryDestination(const std::string& destination) = 0;
  // Null where it is off. Reads the disk.
  virtual const queue::Tracking* tracking() { return nullptr; }
  // Errors: InvalidArgument with every mistake of the new file, one a line; the old stays.
  virtual Result<void> reload() = 0;
};

}  // namespace sluice::relay
