#include "net/smtp/client_transaction.h"

#include <algorithm>

namespace sluice::smtp {

bool ClientTransaction::anyRecipientTaken() const {
  return mail_reply && mail_reply->positive() &&
         std::any_of(recipients.begin(), recipients.end(), [](const ClientRecipient& recipient) {
           return recipient.reply && recipient.reply->positive();
         });
}

bool ClientTransaction::allRecipientsAnswered() const {
  return std::all_of(recipients.begin(), recipients.end(),
                     [](const ClientRecipient& recipient) { return recipient.reply.has_value(); });
}

}  // namespace sluice::smtp
