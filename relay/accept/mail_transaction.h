// What one mail transaction has gathered: its envelope, and under which queue keys its recipients
// will be queued. No I/O.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "net/base/result.h"
#include "net/smtp/command.h"
#include "queue/queue.h"
#include "relay/accept/author_check.h"
#include "relay/accept/user_limits.h"
#include "relay/route/router.h"
#include "relay/sign/dkim_signer.h"

namespace sluice::relay {

class MailTransaction {
 public:
  explicit MailTransaction(const smtp::MailCommand& mail);

  // Adds `mailbox` with the parameters of `rcpt` (whose own path it is, or that it stands for) and
  // finds its way. A recipient that is in the transaction already is kept once, and is no error.
  // Errors: NotFound (no send connector takes it), Malformed (its domain).
  Result<void> add(std::string_view mailbox, const smtp::RcptCommand& rcpt, const Router& router);

  queue::Envelope& envelope() { return envelope_; }
  const queue::Envelope& envelope() const { return envelope_; }
  uint64_t declaredBytes() const { return declared_bytes_; }
  // The forward-path if it is the only one; else empty.
  std::string_view onlyRecipient() const;
  // "<>" for the null reverse-path.
  std::string senderText() const;
  // All forward-paths for a log line, as far as they fit into one.
  std::string recipientsText() const;
  // Under the keys that the envelope, as it is now, asks for.
  std::vector<queue::Group> takeGroups();

  std::unique_ptr<queue::Incoming> incoming;  // while content comes
  std::string message_id;                     // of the content, for tracking
  std::unique_ptr<DkimSigner> signer;         // likewise, if there are keys
  std::unique_ptr<AuthorCheck> author_check;  // likewise, if its user is held to authors
  std::unique_ptr<UserLimits::Hold> quota;    // what it takes of its user's, if that has one

 private:
  bool isNew(std::string_view local_part, const std::string& domain_key);
  void putIntoGroup(queue::QueueKey key);

  queue::Envelope envelope_;
  uint64_t declared_bytes_ = 0;
  std::vector<queue::Group> groups_;
  std::unordered_map<queue::QueueKey, size_t> group_of_key_;  // the last one of each key
  std::unordered_set<std::string> seen_;  // recipients, with the domain in its one form
};

}  // namespace sluice::relay
