// Notices of our own get their signatures before they are queued, off the loop where a key is slow.
//
// One a shard. Notices that cannot be signed go unsigned: a sender who hears nothing is worse off.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "net/base/unique_function.h"
#include "queue/queue.h"
#include "relay/deliver/delivery_context.h"

namespace sluice::relay {

class NoticeSigner {
 public:
  using Notices = std::vector<queue::NewMessage>;
  using Then = UniqueFunction<void(Notices)>;
  explicit NoticeSigner(DeliveryContext& context);
  // What waits for signatures is signed here and now: what happened is not to be done again.
  ~NoticeSigner();

  // Calls `then` with the notices, signed by the keys of their From domain: at once if there are
  // none, or only quick ones, else on a later turn of the loop.
  void sign(Notices notices, Then then);

 private:
  struct Job {
    Notices notices;
    std::vector<size_t> owners;  // of each draft, its notice
    std::vector<DkimDraft> drafts;
    Then then;
  };
  using Signatures = Result<std::vector<std::string>>;
  static void finish(Job job, Signatures fields);

  DeliveryContext& context_;
  std::map<uint64_t, Job> jobs_;
  uint64_t last_job_ = 0;
  std::shared_ptr<NoticeSigner*> self_;  // what a signature that comes late may still find
};

}  // namespace sluice::relay
