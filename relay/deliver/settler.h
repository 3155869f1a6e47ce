// From verdicts to what is written: ends, deferrals, events, counters, and the notices that belong
// in the same atomic step.
//
// One a shard. A settlement that needs the original's header section for a notice first reads it;
// until then the Work stays active, so nothing is lost if the process ends in between.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "queue/queue.h"
#include "queue/retry_schedule.h"
#include "relay/admin/destination_view.h"
#include "relay/deliver/delivery_context.h"
#include "relay/deliver/notice_signer.h"
#include "relay/deliver/outcome.h"
#include "relay/notify/notices.h"

namespace sluice::relay {

// Where an attempt went, for events and notices.
struct AttemptPlace {
  std::string connector;
  std::string destination;
  std::string mx;
  std::string address;
  std::string tls;
  Duration took{};          // the attempt
  bool passes_dsn = false;  // the host takes DSN parameters: success notices are its business
};

struct RecipientVerdict {
  uint16_t recipient = 0;  // index into the envelope's
  Verdict verdict;
};

class Settler {
 public:
  explicit Settler(DeliveryContext& context);
  ~Settler();

  // Recipients of the Work that are not named stay ready. Deferred ones are due by the retry
  // schedule, or end as expired if their lifetime is over.
  void settle(std::unique_ptr<queue::Work> work, const std::vector<RecipientVerdict>& verdicts,
              const AttemptPlace& place);
  // All recipients, with one verdict.
  void settleAll(std::unique_ptr<queue::Work> work, const Verdict& verdict,
                 const AttemptPlace& place);
  // Ends all recipients by an administrator's hand.
  void endByHand(std::unique_ptr<queue::Work> work, HandEnd how, const AttemptPlace& place);
  // A group that waits behind a resting host: delay notice or expiry, if it is time for either.
  void settleOverdue(std::unique_ptr<queue::Work> work, const std::string& reason,
                     const AttemptPlace& place);
  // Puts all recipients under the key that the present routes ask for, as ready.
  void moveTo(std::unique_ptr<queue::Work> work, const queue::QueueKey& key);
  // Puts each recipient under the key that leads by this connector, as ready.
  void redirect(std::unique_ptr<queue::Work> work, const SendConfig& connector);

 private:
  struct Step;
  void add(Step& step, uint16_t recipient, const Verdict& verdict);
  void addEnd(Step& step, uint16_t recipient, const Verdict& verdict);
  void addDeferral(Step& step, uint16_t recipient, const Verdict& verdict);
  void emit(Step& step, queue::TrackKind kind, uint16_t recipient, const Verdict& verdict,
            uint32_t attempts);
  void finish(std::unique_ptr<Step> step);
  void write(std::unique_ptr<Step> step, std::string_view original, bool complete);
  void addNotice(Step& step, NoticeKind kind, std::vector<RecipientReport> reports,
                 std::string_view original, bool complete, std::vector<queue::NewMessage>& notices);
  void countByHand(const Step& step, HandEnd how);
  WallTime deferUntil(Step& step);
  void moveEach(std::unique_ptr<queue::Work> work,
                const std::function<queue::QueueKey(const queue::Recipient&)>& key_of);
  queue::QueueKey keyFor(const queue::Work& work) const;

  DeliveryContext& context_;
  uint64_t notices_made_ = 0;
  std::vector<std::unique_ptr<Step>> reading_;  // wait for the original's header section
  NoticeSigner notice_signer_;
};

}  // namespace sluice::relay
