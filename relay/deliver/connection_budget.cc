#include "relay/deliver/connection_budget.h"

#include <algorithm>
#include <utility>

namespace sluice::relay {

DestinationBudget::DestinationBudget(int max_connections, Rate rate) : max_(max_connections) {
  setLimits(max_connections, rate);
}

void DestinationBudget::setLimits(int max_connections, Rate rate) {
  const std::lock_guard lock(mutex_);
  max_.store(max_connections, std::memory_order_relaxed);
  const double per_second = rate.count == 0 ? 0 : rate.perSecond();
  if (per_second == per_second_) return;
  per_second_ = per_second;
  burst_ = std::max(1.0, per_second);  // one second's worth
  tokens_ = burst_;
  limited_.store(per_second > 0, std::memory_order_relaxed);
}

bool DestinationBudget::tryLease() {
  int leased = leased_.load(std::memory_order_relaxed);
  while (leased + promised_->load(std::memory_order_relaxed) <
         max_.load(std::memory_order_relaxed)) {
    if (leased_.compare_exchange_weak(leased, leased + 1, std::memory_order_acq_rel)) return true;
  }
  return false;
}

void DestinationBudget::giveBack() {
  // First promised, then free: else whoever gives it back is the first to take it again.
  const auto somebody = [this] { return contested() || wished(); };
  const bool told = somebody() && promiseNext();
  leased_.fetch_sub(1, std::memory_order_acq_rel);
  if (!told && somebody()) promiseNext();  // came to the line meanwhile
}

// Tells the first in line; false if there is nobody.
bool DestinationBudget::promiseNext() {
  std::pair<net::Loop*, Task> next{nullptr, nullptr};
  {
    const std::lock_guard lock(mutex_);
    Line& line = line_.empty() ? wishes_ : line_;
    if (line.empty()) return false;
    next = std::move(line.front());
    line.pop_front();
    (&line == &line_ ? waiting_ : wishing_).fetch_sub(1, std::memory_order_relaxed);
    promised_->fetch_add(1, std::memory_order_relaxed);
  }
  next.first->post([promised = promised_, task = std::move(next.second)]() mutable {
    promised->fetch_sub(1, std::memory_order_relaxed);
    task();
  });
  return true;
}

void DestinationBudget::waitForLease(net::Loop& loop, Claim claim, Task task) {
  {
    const std::lock_guard lock(mutex_);
    const bool share = claim == Claim::Share;
    (share ? line_ : wishes_).emplace_back(&loop, std::move(task));
    (share ? waiting_ : wishing_).fetch_add(1, std::memory_order_relaxed);
  }
  // A lease given back between the failed tryLease() and here found an empty line.
  if (leased() < max_.load(std::memory_order_relaxed) && tryLease()) giveBack();
}

Duration DestinationBudget::takeToken(SteadyTime now) {
  if (!limited_.load(std::memory_order_relaxed)) return Duration{};
  const std::lock_guard lock(mutex_);
  const double elapsed = std::chrono::duration<double>(now - refilled_).count();
  if (elapsed > 0) {
    tokens_ = std::min(burst_, tokens_ + elapsed * per_second_);
    refilled_ = now;
  }
  if (tokens_ >= 1) {
    tokens_ -= 1;
    return Duration{};
  }
  // Never zero, which would mean that the token was taken.
  return std::max<Duration>(std::chrono::milliseconds(1),
                            std::chrono::duration_cast<Duration>(
                                std::chrono::duration<double>((1 - tokens_) / per_second_)));
}

std::shared_ptr<DestinationBudget> BudgetRegistry::get(const std::string& identity,
                                                       const DeliveryLimits& limits) {
  const std::lock_guard lock(mutex_);
  if (budgets_.size() >= sweep_at_) {
    std::erase_if(budgets_, [](const auto& entry) { return entry.second.expired(); });
    sweep_at_ = std::max<size_t>(1024, budgets_.size() * 2);
  }
  std::weak_ptr<DestinationBudget>& slot = budgets_[identity];
  std::shared_ptr<DestinationBudget> budget = slot.lock();
  if (budget) {
    budget->setLimits(limits.max_connections, limits.rate);
  } else {
    budget = std::make_shared<DestinationBudget>(limits.max_connections, limits.rate);
    slot = budget;
  }
  return budget;
}

}  // namespace sluice::relay
