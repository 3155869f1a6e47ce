// Control of a running relay: asks the shards, merges what they say, and acts on all of them.
//
// Any thread but a loop's. The loops must run, and the queue and the views outlive them.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <set>

#include "net/loop.h"
#include "relay/admin/control.h"
#include "relay/admin/message_queries.h"
#include "relay/admin/single_flight.h"
#include "relay/log/event_log.h"

namespace sluice::relay {

class RelayControl final : public Control {
 public:
  struct Parts {
    queue::Queue& queue;
    std::vector<net::Loop*> loops;        // of the shards, in their order
    std::vector<DestinationView*> views;  // likewise
    EventLog& log;
    // Everything of the status but the store and the counts; any thread.
    std::function<RelayStatus()> status;
    std::function<Result<void>()> reload;
    // Queue keys of configured smart hosts: their destinations are known without any traffic.
    std::function<std::vector<queue::QueueKey>()> standing_keys;
    // Whether a send connector of this name is configured; any thread.
    std::function<bool(const std::string&)> knows_connector;
    std::chrono::milliseconds timeout{5'000};          // for what shards know
    std::chrono::milliseconds action_timeout{30'000};  // for what they must read and write
    // For what may touch every message of a long queue, in steps that stall nobody.
    std::chrono::milliseconds act_timeout{600'000};
  };
  explicit RelayControl(Parts parts) : parts_(std::move(parts)) {}

  // Suspends again what was suspended before the restart. Once the loops run. Errors: Timeout.
  Result<void> restoreSuspensions();

  Readiness readiness() override;
  RelayStatus status() override;
  Result<std::vector<QueueStatus>> queues() override;
  Result<void> visitQueues(const std::function<void(const QueueStatus&)>& visit) override;
  Result<MessageListing> messages(const MessageChoice& choice,
                                  std::optional<queue::MessageId> after, size_t limit) override;
  Result<MessageView> message(const queue::MessageId& id) override;
  Result<ByteChain> content(const queue::MessageId& id) override;
  Result<queue::ActionResult> act(MessageAction action, const MessageChoice& choice,
                                  const std::string& connector = {}) override;
  Result<queue::ActionResult> count(const MessageChoice& choice) override;
  Result<bool> suspend(const std::string& destination, bool suspended) override;
  Result<queue::ActionResult> retryDestination(const std::string& destination) override;
  const queue::Tracking* tracking() override { return parts_.queue.tracking(); }
  Result<void> reload() override { return parts_.reload(); }

 private:
  struct Survey;
  using SharedSurvey = std::shared_ptr<const Survey>;

  Shards shards() const;
  Shards acting() const;
  // What the shards know of destinations, asked once for all who ask at once.
  Result<SharedSurvey> survey();
  Result<SharedSurvey> askForSurvey();
  // As survey(), or one that was dear to make and is still good enough for who only looks.
  Result<SharedSurvey> recentSurvey();
  void forgetRecent();
  // One filter for each queue key of the destination that the filter names.
  Result<MessageFilters> byKey(const queue::MessageFilter& filter);
  Result<queue::ActionResult> actOnChosen(MessageAction action, const MessageChoice& choice,
                                          const std::string& connector);
  Result<queue::ActionResult> retry(const MessageChoice& choice);
  // Acts on the messages that are seen to match, page by page, and logs what is held or released.
  Result<queue::ActionResult> actOnPages(MessageAction action, const MessageChoice& choice,
                                         const std::string& connector);
  Result<queue::ActionResult> actOnPage(MessageAction action, const MessageChoice& choice,
                                        const std::vector<MessageView>& page,
                                        const std::string& connector);
  void logHeld(MessageAction action, const std::vector<MessageView>& before,
               const std::vector<MessageView>& after);
  Result<void> onViews(const std::function<void(DestinationView&)>& what);
  // With the time when it was asked for, where that is known.
  std::map<std::string, std::optional<WallTime>> suspensions();

  Parts parts_;
  std::mutex suspending_;  // one change of the suspensions at a time
  SingleFlight<Result<SharedSurvey>> surveys_;
  std::mutex recent_mutex_;
  SharedSurvey recent_;        // guarded by recent_mutex_
  SteadyTime recent_until_{};  // guarded by recent_mutex_
};

}  // namespace sluice::relay
