#include "relay/admin/message_choice.h"

#include <algorithm>

#include "net/smtp/path.h"
#include "relay/admin/control.h"

namespace sluice::relay {
namespace {

bool meansRecipient(const MessageChoice& choice, const MessageView::Recipient& recipient) {
  const queue::AttemptRecord& attempts = recipient.status.attempts;
  return attempts.attempts >= choice.least_attempts &&
         (!choice.last_reply || choice.last_reply(attempts.last_reply));
}

}  // namespace

bool MessageChoice::looksCloser() const {
  return !sender_domain.empty() || !received_by.empty() || younger_than || larger_than > 0 ||
         smaller_than > 0 || least_attempts > 0 || last_reply;
}

bool MessageChoice::narrows() const {
  return !key_or_domain.empty() || !sender.empty() || !recipient.empty() || state || older_than ||
         looksCloser();
}

bool MessageChoice::means(const MessageView& message, WallTime now) const {
  const queue::Envelope& envelope = *message.envelope;
  if (!sender_domain.empty() &&
      !smtp::equalsIgnoringCase(smtp::domainOf(envelope.reverse_path), sender_domain)) {
    return false;
  }
  if (!received_by.empty() && received_by != envelope.receive_connector) return false;
  if (younger_than && message.id.acceptedAt() + *younger_than <= now) return false;
  if (larger_than > 0 && envelope.content_bytes <= larger_than) return false;
  if (smaller_than > 0 && envelope.content_bytes >= smaller_than) return false;
  return std::any_of(message.recipients.begin(), message.recipients.end(),
                     [this](const auto& recipient) { return meansRecipient(*this, recipient); });
}

std::vector<queue::MessageFilter> exactFilters(const MessageChoice& choice,
                                               const std::vector<MessageView>& seen) {
  queue::MessageFilter whole = choice;
  whole.ids.clear();
  std::vector<queue::MessageFilter> filters;
  for (const MessageView& message : seen) {
    const auto meant = [&](const auto& recipient) { return meansRecipient(choice, recipient); };
    if (std::all_of(message.recipients.begin(), message.recipients.end(), meant)) {
      whole.ids.push_back(message.id);
      continue;
    }
    for (const auto& recipient : message.recipients) {
      if (!meant(recipient)) continue;
      if (!choice.recipient.empty() && choice.recipient != recipient.status.recipient) continue;
      filters.push_back(choice);
      filters.back().ids = {message.id};
      filters.back().recipient = recipient.status.recipient;
    }
  }
  if (!whole.ids.empty()) filters.push_back(std::move(whole));
  return filters;
}

}  // namespace sluice::relay
