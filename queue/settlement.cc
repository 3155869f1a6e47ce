// How settlements of single recipients are gathered into groups again.
#include "queue/settlement.h"

#include <algorithm>
#include <unordered_map>

#include "queue/codec.h"

namespace sluice::queue {
namespace {

using What = Settlement::What;

// What one recipient is queued with from now on.
struct Next {
  QueueKey key;
  AttemptRecord attempts;
  uint64_t due_us = 0;
};

Next nextOf(const Settlement* settlement, const QueueKey& key, const AttemptRecord& before,
            uint64_t now_us, const std::function<uint64_t(WallTime)>& due_of) {
  Next next{key, before, now_us};
  if (!settlement) return next;
  if (isValidKey(settlement->key)) next.key = settlement->key;
  if (!settlement->last_reply.empty())
    next.attempts.last_reply = settlement->last_reply.substr(0, kMaxReplyBytes);
  next.attempts.delay_notified |= settlement->delay_notified;
  if (settlement->what != What::Ready && settlement->count_attempt) ++next.attempts.attempts;
  if (settlement->what == What::Held)
    next.due_us = kNeverDue;
  else if (settlement->due != WallTime{})
    next.due_us = std::min(std::max(now_us, due_of(settlement->due)), kNeverDue - 1);
  return next;
}

// All but the reply.
std::string signatureOf(const Next& next) {
  std::string signature = next.key;
  signature.push_back('\0');
  appendU64(signature, next.due_us);
  appendU32(signature, next.attempts.attempts);
  signature.push_back(next.attempts.delay_notified ? 1 : 0);
  return signature;
}

class Gatherer {
 public:
  explicit Gatherer(std::vector<GroupForm>& forms) : forms_(forms) {}

  void add(uint16_t recipient, Next next) {
    std::vector<size_t>& alike = by_signature_[signatureOf(next)];
    for (const size_t form : alike)
      if (forms_[form].attempts.last_reply == next.attempts.last_reply)
        return forms_[form].recipients.push_back(recipient);
    if (alike.size() >= kMaxFormsByReply)
      return forms_[alike.back()].recipients.push_back(recipient);
    alike.push_back(forms_.size());
    forms_.push_back({{recipient}, std::move(next.key), std::move(next.attempts), next.due_us});
    forms_.back().attempts.due = fromMicroseconds(next.due_us);
  }

 private:
  std::vector<GroupForm>& forms_;
  std::unordered_map<std::string, std::vector<size_t>> by_signature_;
};

bool same(const GroupForm& form, const QueueKey& key, const AttemptRecord& before,
          uint64_t now_us) {
  return form.key == key && form.due_us <= now_us && form.attempts.attempts == before.attempts &&
         form.attempts.delay_notified == before.delay_notified &&
         form.attempts.last_reply == before.last_reply;
}

}  // namespace

SettledGroup settleGroup(const std::vector<uint16_t>& recipients, const QueueKey& key,
                         const AttemptRecord& before, std::vector<Settlement> settlements,
                         uint64_t now_us, const std::function<uint64_t(WallTime)>& due_of) {
  std::stable_sort(settlements.begin(), settlements.end(),
                   [](const auto& a, const auto& b) { return a.recipient < b.recipient; });
  SettledGroup settled;
  Gatherer gatherer(settled.forms);
  auto at = settlements.begin();
  bool any_ended = false;
  for (const uint16_t recipient : recipients) {
    while (at != settlements.end() && at->recipient < recipient) ++at;
    const bool named = at != settlements.end() && at->recipient == recipient;
    if (named && at->what == What::Ended)
      any_ended = true;
    else
      gatherer.add(recipient, nextOf(named ? &*at : nullptr, key, before, now_us, due_of));
  }
  settled.unchanged =
      !any_ended && settled.forms.size() == 1 && same(settled.forms.front(), key, before, now_us);
  return settled;
}

}  // namespace sluice::queue
