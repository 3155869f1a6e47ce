// What shares one pool and one set of limits: the connections to a set of hosts, on one shard.
//
// Opens connections while there is work and the hosts are happy, up to the limits: the window of
// connections grows with each delivery and halves when the hosts push back (421, time-outs, broken
// connections). Rests when no host can be reached. On its shard only.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "relay/deliver/client_session.h"
#include "relay/deliver/connection_budget.h"
#include "relay/deliver/delivery_context.h"
#include "relay/deliver/next_hops.h"
#include "relay/deliver/settler.h"

namespace sluice::relay {

class Destination final : private ClientSession::Owner {
 public:
  // The dispatcher, as a destination sees it.
  class Parent {
   public:
    virtual ~Parent() = default;
    virtual bool suspended(const Destination& destination, const queue::QueueKey& key) const = 0;
    // No host can be reached, or all refuse: the destination rests (temporary errors), and its
    // keys' messages go another way or wait.
    virtual void onUnreachable(Destination& destination, const Error& why) = 0;
    // The rest is over: say again which keys have work.
    virtual void onRested(Destination& destination) = 0;
    // Nothing is connected and nothing waits: it may be dropped, on the next turn.
    virtual void onUnused(Destination& destination) = 0;
  };

  Destination(DeliveryContext& context, Settler& settler, std::shared_ptr<const HopSet> hops,
              Parent& parent);
  ~Destination() override;

  // `key` has ready groups.
  void addReady(const queue::QueueKey& key);
  void wake();
  // New limits or hosts' order from a fresh look-up.
  void refresh(std::shared_ptr<const HopSet> hops);
  void drain();  // no new transactions; connections part when theirs are done
  void abortAll(const Error& why);
  void restFor(Duration rest, const Error& why);
  void stopResting();

  const HopSet& hops() const { return *hops_; }
  const std::string& name() const { return name_; }
  void setName(std::string name) { name_ = std::move(name); }
  bool resting() const { return rest_.armed(); }
  SteadyTime restsUntil() const { return rests_until_; }
  const std::string& lastReply() const { return last_reply_; }
  const std::string& restReason() const { return rest_reason_; }
  unsigned failures() const { return failures_; }
  size_t connections() const { return sessions_.size(); }
  bool used() const { return !sessions_.empty() || !ready_keys_.empty() || resting(); }
  const std::deque<queue::QueueKey>& readyKeys() const { return ready_keys_; }
  void forgetReady(const queue::QueueKey& key);
  // Keys whose work has ended or gone elsewhere meanwhile.
  void forgetEmpty();
  std::string stateName() const;
  // Why what is ready for it is not on its way; by steady times.
  struct Hold {
    enum class What : uint8_t { Nothing, Rests, Connecting, Connections, Rate, Turn };
    What what = What::Nothing;
    std::optional<SteadyTime> since;
    std::optional<SteadyTime> until;
    int in_use = 0;         // of Connections: over all shards
    int allowed = 0;        // as configured, or as many as the hosts bear at the moment
    bool by_hosts = false;  // then
  };
  Hold hold() const;
  AttemptPlace place(const ClientSession* session) const;

 private:
  // ClientSession::Owner
  std::unique_ptr<Delivery> nextDelivery(ClientSession& session, size_t max_recipients) override;
  void onSessionOpen(ClientSession& session) override;
  void onSessionIdle(ClientSession& session) override;
  void onDone(ClientSession& session, std::unique_ptr<Delivery> delivery) override;
  void onUnfit(ClientSession& session, std::unique_ptr<Delivery> delivery,
               const Verdict& verdict) override;
  void onBroken(ClientSession& session, std::unique_ptr<Delivery> delivery,
                const Break& how) override;
  void onEnd(ClientSession& session, const std::optional<Error>& failure) override;

  void openSessions();
  void topUp();
  void shareIdle();
  bool openOne();
  void claimLease();
  size_t backlog() const;
  size_t connectionsWorth(size_t waiting) const;
  void trustTheBusy();
  void useIdle();
  void notePace(Duration took);
  bool mayGoDeeper(const ClientSession& session) const;
  void settle(ClientSession& session, std::unique_ptr<Delivery> delivery,
              const std::vector<RecipientVerdict>& verdicts);
  void grow();
  void shrink();
  size_t fairShare() const;
  bool mustYield(const ClientSession& session);

  DeliveryContext& context_;
  Settler& settler_;
  std::shared_ptr<const HopSet> hops_;
  Parent& parent_;
  std::shared_ptr<DestinationBudget> budget_;
  std::string name_;

  std::deque<queue::QueueKey> ready_keys_;  // each once, taken in turn
  std::unordered_map<queue::QueueKey, char> is_ready_;
  std::vector<std::unique_ptr<ClientSession>> sessions_;
  std::vector<ClientSession*> idle_;  // the last used at the back
  size_t connecting_ = 0;
  double window_;                    // connections that we allow ourselves
  Duration pace_ = Duration::max();  // of one transaction, of late
  unsigned failures_ = 0;            // in a row, of the whole destination
  unsigned breaks_in_a_row_ = 0;
  SteadyTime yielding_since_{};
  const ClientSession* yielding_ = nullptr;  // goes to another shard when it is done; one at a time
  bool draining_ = false;
  // We stand in the budget's line.
  struct DestinationClaims {
    bool share = false;
    bool beyond_share = false;
  } claims_;
  bool impatient_ = false;  // what waits has waited for busy connections long enough
  std::string last_reply_;
  std::string rest_reason_;
  SteadyTime rests_until_{};
  SteadyTime rests_since_{};
  SteadyTime token_due_{};
  net::Deadline rest_;
  net::Deadline patience_;  // for busy connections to come to what waits
  net::Deadline top_up_;    // looks whether what is under way waits for a far answer
  net::Deadline share_;     // looks whether others wait for an idle connection
  net::Deadline token_;     // the rate allows the next message then
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace sluice::relay
