#include "relay/deliver/delivery.h"

#include <algorithm>

namespace sluice::relay {
namespace {

// NOTIFY as it was asked for (RFC 3461 section 4.1); a literal.
std::string_view notifyWord(const queue::Notify& notify) {
  if (!notify.set) return {};
  if (notify.never) return "NEVER";
  static constexpr std::string_view kWords[] = {
      "",      "SUCCESS",       "FAILURE",       "SUCCESS,FAILURE",
      "DELAY", "SUCCESS,DELAY", "FAILURE,DELAY", "SUCCESS,FAILURE,DELAY"};
  return kWords[(notify.success ? 1 : 0) + (notify.failure ? 2 : 0) + (notify.delay ? 4 : 0)];
}

}  // namespace

Delivery::Delivery(std::unique_ptr<queue::Work> work, size_t max_recipients)
    : work_(std::move(work)) {
  const queue::Envelope& envelope = work_->envelope();
  reverse_path = envelope.reverse_path;
  eight_bit = envelope.body == queue::BodyType::EightBitMime;
  smtputf8 = envelope.smtputf8;
  require_tls = envelope.require_tls;
  ret = envelope.ret == queue::Ret::Full      ? "FULL"
        : envelope.ret == queue::Ret::Headers ? "HDRS"
                                              : std::string_view();
  envid = envelope.envid;
  content = this;
  const auto indexes = work_->recipients();
  const size_t count = std::min(indexes.size(), std::max<size_t>(1, max_recipients));
  recipients.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const queue::Recipient& recipient = envelope.recipients[indexes[i]];
    recipients.push_back(
        {recipient.forward_path, notifyWord(recipient.notify), recipient.orcpt, std::nullopt});
  }
}

}  // namespace sluice::relay
