// How many connections may be open to a destination, and how fast may messages go to it, over all
// shards?
//
// A shard leases a connection from the destination's one budget before it opens it and gives it
// back when it is closed. A shard that gets none waits in line; one that has some gives them up in
// turn when others wait. Who has his share already may wish for more: that is served behind all who
// wait, with what others do not use. Any thread.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "net/base/clock.h"
#include "net/loop.h"
#include "relay/config/config.h"

namespace sluice::relay {

class DestinationBudget {
 public:
  DestinationBudget(int max_connections, Rate rate);

  bool tryLease();
  void giveBack();
  int leased() const { return leased_.load(std::memory_order_relaxed); }
  // Somebody waits: give up a connection after a fair share of work.
  bool contested() const { return waiting_.load(std::memory_order_relaxed) > 0; }
  // Somebody could use one beyond his share: give up what idles for lack of work.
  bool wished() const { return wishing_.load(std::memory_order_relaxed) > 0; }
  // Posts `task` to `loop` once when a lease may be had; one that is given back is kept for it
  // until then.
  enum class Claim { Share, BeyondShare };
  void waitForLease(net::Loop& loop, Claim claim, Task task);

  // Takes the right to send one message; if there is none yet, the time until there may be.
  Duration takeToken(SteadyTime now);
  // A reload changed the limits.
  void setLimits(int max_connections, Rate rate);

 private:
  bool promiseNext();
  std::atomic<int> leased_{0};
  std::atomic<int> max_;
  std::atomic<int> waiting_{0};  // in line_
  std::atomic<int> wishing_{0};  // in wishes_
  // Leases kept for who was told, until they hear of it.
  std::shared_ptr<std::atomic<int>> promised_ = std::make_shared<std::atomic<int>>(0);
  std::atomic<bool> limited_{false};
  std::mutex mutex_;  // guards what follows
  using Line = std::deque<std::pair<net::Loop*, Task>>;
  Line line_;
  Line wishes_;
  double per_second_ = 0;
  double burst_ = 1;
  double tokens_ = 0;
  SteadyTime refilled_{};
};

// The budgets by the destination's identity; one for the process.
class BudgetRegistry {
 public:
  // How many shards share each budget; set before their loops run.
  void setShards(size_t shards) { shards_ = shards; }
  size_t shards() const { return shards_; }
  std::shared_ptr<DestinationBudget> get(const std::string& identity, const DeliveryLimits& limits);

 private:
  size_t shards_ = 1;
  std::mutex mutex_;
  std::unordered_map<std::string, std::weak_ptr<DestinationBudget>> budgets_;
  size_t sweep_at_ = 1024;
};

}  // namespace sluice::relay
