// One transaction of a queue's Work: the request that a connection carries, and the verdicts that
// come of it.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/smtp/client_transaction.h"
#include "queue/queue.h"
#include "relay/deliver/outcome.h"

namespace sluice::relay {

class Delivery final : public smtp::ClientTransaction, private smtp::ContentSource {
 public:
  // Takes the first `max_recipients` of the Work's; the others stay as they are.
  Delivery(std::unique_ptr<queue::Work> work, size_t max_recipients);

  queue::Work& work() { return *work_; }
  const queue::Work& work() const { return *work_; }
  std::unique_ptr<queue::Work> releaseWork() { return std::move(work_); }
  // Index into the envelope's recipients of the transaction's recipient `index`.
  uint16_t recipientIndex(size_t index) const { return work_->recipients()[index]; }

  SteadyTime started{};

 private:
  uint64_t size() const override { return work_->content().size(); }
  size_t chunks() const override { return work_->content().chunks(); }
  const std::vector<Slice>* inMemory() const override { return work_->content().inMemory(); }
  void chunk(size_t index, Done done) override { work_->content().chunk(index, std::move(done)); }

  std::unique_ptr<queue::Work> work_;
};

}  // namespace sluice::relay
