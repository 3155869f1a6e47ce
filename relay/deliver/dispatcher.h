// From ready queue keys to destinations: which way each key goes now, and what to do when no way is
// open.
//
// One a shard, on its loop. A key is looked up when it has work; its groups wait in the queue, not
// here. A key whose hosts cannot be reached goes to the next connector, or rests with one message
// deferred to say why; permanent failures of the look-up bounce what waits, a slice at a time.
#pragma once

#include <deque>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "queue/queue.h"
#include "relay/admin/destination_view.h"
#include "relay/deliver/delivery_context.h"
#include "relay/deliver/destination.h"
#include "relay/deliver/settler.h"

namespace sluice::relay {

class Dispatcher final : public queue::QueueListener,
                         public DestinationView,
                         private Destination::Parent {
 public:
  explicit Dispatcher(DeliveryContext& context);
  ~Dispatcher() override;

  // Names of destinations that were suspended before the start.
  void setSuspensions(std::set<std::string> names) { suspended_ = std::move(names); }
  // Takes no more work; calls `done` once no connection is left.
  void drain(Task done);
  // The drain took too long: what is under way ends as it stands.
  void abortAll();
  // The context's routes were replaced: look every key up again.
  void onRoutesChanged();

  // queue::QueueListener
  void onReady(const queue::QueueKey& key) override;
  void onOverdue(std::unique_ptr<queue::Work> work) override;

  // DestinationView
  std::vector<DestinationStatus> destinations() const override;
  DestinationStatus destinationOf(const queue::QueueKey& key) const override;
  void setSuspended(const std::string& destination, bool suspended) override;
  void retryNow(const std::string& destination) override;
  void endByHand(std::unique_ptr<queue::Work> work, HandEnd how) override;
  void redirect(std::unique_ptr<queue::Work> work, const std::string& connector) override;

 private:
  // What is known of a key that has, or just had, work.
  struct KeyRecord {
    queue::QueueKey key;
    Destination* destination = nullptr;
    SteadyTime valid_until{};
    std::unique_ptr<HopLookup> lookup;
    bool looking_up = false;
    size_t level = 0;  // which of the routes' connectors; above 0 the earlier ones failed
    SteadyTime level_until{};
    bool no_way_round = false;  // while its destination rests, no other connector takes it
    unsigned failures = 0;      // of the look-up, in a row
    std::string why;            // it waits
    SteadyTime rests_until{};
    SteadyTime rests_since{};  // the first of its failures
    net::Deadline rest;
  };

  // The keys whose mail goes to a destination.
  struct Attached {
    std::set<queue::QueueKey> keys;
    size_t prune_at = kFirstPrune;  // those without work are dropped then
  };
  static constexpr size_t kFirstPrune = 1000;

  static bool isSmartHostKey(const queue::QueueKey& key) {
    return withoutWish(key).starts_with('=');
  }
  KeyRecord& recordOf(const queue::QueueKey& key);
  void resolve(KeyRecord& record);
  void onHops(const queue::QueueKey& key, Result<std::shared_ptr<const HopSet>> hops);
  void attach(KeyRecord& record, std::shared_ptr<const HopSet> hops);
  void prune(Destination& destination, Attached& attached, const queue::QueueKey& but);
  void onLookupFailed(KeyRecord& record, const Error& why);
  void restKey(KeyRecord& record, Duration rest, const Error& why);
  void takeLevel(KeyRecord& record, size_t level, const SendConfig& failed);
  bool goElsewhere(const queue::QueueKey& key, const SendConfig& failed);
  bool moveToNext(const queue::QueueKey& key, const SendConfig& failed);
  void rerouteAll(const queue::QueueKey& key);
  void bounceAll(const queue::QueueKey& key, const Error& why, const AttemptPlace& place);
  void deferOne(const queue::QueueKey& key, const Error& why, const AttemptPlace& place);
  void sweep(const queue::QueueKey& key);
  void tidy();
  void sweepSuspended();
  bool isSuspended(const queue::QueueKey& key, const Destination* destination) const;
  bool matches(const std::string& name, const queue::QueueKey& key,
               const Destination* destination) const;
  std::string nameFor(const queue::QueueKey& key) const;
  Why whyOf(const KeyRecord& record, const DestinationStatus& status) const;
  Why whyHeld(const Destination& destination, const DestinationStatus& status) const;
  WallTime wallAt(SteadyTime when) const;
  Duration restTime(unsigned failures, const DeliveryLimits& limits) const;
  void dropIfUnused(const queue::QueueKey& key);
  void finishDrain();

  // Destination::Parent
  bool suspended(const Destination& destination, const queue::QueueKey& key) const override;
  void onUnreachable(Destination& destination, const Error& why) override;
  void onRested(Destination& destination) override;
  void onUnused(Destination& destination) override;

  DeliveryContext& context_;
  Settler settler_;
  std::unordered_map<queue::QueueKey, std::unique_ptr<KeyRecord>> keys_;
  std::unordered_map<std::string, std::unique_ptr<Destination>> destinations_;  // by identity
  std::unordered_map<const Destination*, Attached> attached_;
  std::deque<std::pair<SteadyTime, queue::QueueKey>>
      levelled_;  // keys with a level, and until when
  std::set<std::string> suspended_;
  net::Deadline tidy_;
  bool draining_ = false;
  Task drained_;
};

}  // namespace sluice::relay
