// How an envelope is gathered from MAIL and RCPT.
#include "relay/accept/mail_transaction.h"

#include "net/smtp/path.h"
#include "relay/route/tls_wish.h"

namespace sluice::relay {
namespace {

constexpr size_t kMaxRecipientsTextBytes = 2048;  // what a log line holds of a value

queue::Ret retOf(smtp::Ret ret) {
  switch (ret) {
    case smtp::Ret::Unset:
      return queue::Ret::Unset;
    case smtp::Ret::Full:
      return queue::Ret::Full;
    case smtp::Ret::Headers:
      return queue::Ret::Headers;
  }
  return queue::Ret::Unset;
}

}  // namespace

MailTransaction::MailTransaction(const smtp::MailCommand& mail)
    : declared_bytes_(mail.size.value_or(0)) {
  envelope_.reverse_path = mail.reverse_path.mailbox;
  if (mail.body == smtp::Body::EightBitMime) envelope_.body = queue::BodyType::EightBitMime;
  envelope_.smtputf8 = mail.smtputf8;
  envelope_.require_tls = mail.require_tls;
  envelope_.ret = retOf(mail.ret);
  envelope_.envid = mail.envid;
}

Result<void> MailTransaction::add(std::string_view mailbox, const smtp::RcptCommand& rcpt,
                                  const Router& router) {
  const std::string_view domain = smtp::domainOf(mailbox);
  ASSIGN_OR_RETURN(std::string domain_key, smtp::domainKey(domain));
  ASSIGN_OR_RETURN(queue::QueueKey key, router.queueKey(domain_key));
  const std::string_view local_part = mailbox.substr(0, mailbox.size() - domain.size());
  if (!isNew(local_part, domain_key)) return {};
  queue::Recipient recipient;
  recipient.forward_path = mailbox;
  recipient.notify = {rcpt.notify_set, rcpt.notify_never, rcpt.notify_success, rcpt.notify_failure,
                      rcpt.notify_delay};
  recipient.orcpt = rcpt.orcpt;
  envelope_.recipients.push_back(std::move(recipient));
  putIntoGroup(std::move(key));
  return {};
}

bool MailTransaction::isNew(std::string_view local_part, const std::string& domain_key) {
  std::string same(local_part);
  same.append(domain_key);
  return seen_.insert(std::move(same)).second;
}

// The recipient added last goes into its key's group, or into a new one when that is full.
void MailTransaction::putIntoGroup(queue::QueueKey key) {
  const auto recipient = static_cast<uint16_t>(envelope_.recipients.size() - 1);
  const auto found = group_of_key_.find(key);
  if (found != group_of_key_.end() && groups_[found->second].recipients.size() < queue::kMaxGroup) {
    groups_[found->second].recipients.push_back(recipient);
    return;
  }
  group_of_key_[key] = groups_.size();
  groups_.push_back({std::move(key), {recipient}});
}

std::vector<queue::Group> MailTransaction::takeGroups() {
  const TlsWish wish = wishOf(envelope_);
  if (wish != TlsWish::None) {
    for (queue::Group& group : groups_) group.key = withWish(group.key, wish);
  }
  return std::move(groups_);
}

std::string_view MailTransaction::onlyRecipient() const {
  if (envelope_.recipients.size() != 1) return {};
  return envelope_.recipients.front().forward_path;
}

std::string MailTransaction::senderText() const {
  return envelope_.reverse_path.empty() ? "<>" : envelope_.reverse_path;
}

std::string MailTransaction::recipientsText() const {
  std::string text;
  for (const queue::Recipient& recipient : envelope_.recipients) {
    if (text.size() > kMaxRecipientsTextBytes) break;
    if (!text.empty()) text.append(", ");
    text.append(recipient.forward_path);
  }
  return text;
}

}  // namespace sluice::relay
