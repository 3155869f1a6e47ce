#include "relay/deliver/outcome.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "relay/deliver/configuration_fault.h"

namespace sluice::relay {
namespace {

using smtp::ClientTransaction;
using smtp::Reply;
using Kind = Verdict::Kind;

constexpr const char* kLost = "commands were lost although PIPELINING was offered";

Verdict fromReply(Kind kind, const Reply& reply) {
  const std::string status = reply.status ? reply.status->toString() + " " : std::string();
  std::string said = fmt::format("{} {}{}", reply.code, status, reply.text);
  return {kind, reply.code, statusOf(reply), reply.text, true, std::move(said), false};
}

Verdict refusedBy(const Reply& reply) {
  if (const auto advice = configurationFault(reply); !advice.empty()) {
    // Nothing is wrong with the message: it waits until somebody has changed what must be.
    Verdict verdict = fromReply(Kind::Deferred, reply);
    verdict.status.front() = '4';
    verdict.text += fmt::format(" ({} {})", kConfigurationFault, advice);
    return verdict;
  }
  return fromReply(reply.permanent() ? Kind::Bounced : Kind::Deferred, reply);
}

Verdict ours(Kind kind, std::string status, std::string text) {
  return {kind, 0, std::move(status), std::move(text), false, {}, false};
}

// 452 to some of the recipients, or 552 to any, means "no more in this transaction".
bool meansTooMany(const Reply& reply, const ClientTransaction& transaction) {
  return (reply.code == 452 || reply.code == 552) && transaction.anyRecipientTaken();
}

// "What is that?" or "not now", to a command that every server knows and whose turn it was: one
// before it was lost.
bool outOfStep(const ClientTransaction& transaction, const Reply& reply) {
  return transaction.sent_on_trust && (reply.code == 500 || reply.code == 502 || reply.code == 503);
}

}  // namespace

std::string statusOf(const Reply& reply) {
  if (reply.status) return reply.status->toString();
  return fmt::format("{}.0.0", reply.severity());
}

bool chunkingRefused(const ClientTransaction& transaction) {
  if (!transaction.by_bdat || !transaction.final_reply || !transaction.anyRecipientTaken()) {
    return false;
  }
  const int code = transaction.final_reply->code;
  return code == 500 || code == 501 || code == 502 || code == 503 || code == 504;
}

bool pipeliningRefused(const ClientTransaction& transaction) {
  if (!transaction.mail_reply) return false;
  if (!transaction.mail_reply->positive()) return outOfStep(transaction, *transaction.mail_reply);
  const auto& data = transaction.data_reply;
  if (data && outOfStep(transaction, *data) && transaction.anyRecipientTaken()) return true;
  return std::any_of(transaction.recipients.begin(), transaction.recipients.end(),
                     [&](const smtp::ClientRecipient& recipient) {
                       return recipient.reply && outOfStep(transaction, *recipient.reply);
                     });
}

Verdict judge(const ClientTransaction& transaction, size_t recipient) {
  if (transaction.mail_reply && !transaction.mail_reply->positive()) {
    if (outOfStep(transaction, *transaction.mail_reply)) return ours(Kind::Again, "4.5.0", kLost);
    return refusedBy(*transaction.mail_reply);
  }
  const auto& reply = transaction.recipients[recipient].reply;
  if (reply && !reply->positive()) {
    if (outOfStep(transaction, *reply)) return ours(Kind::Again, "4.5.0", kLost);
    if (meansTooMany(*reply, transaction)) return ours(Kind::Again, "4.5.3", reply->text);
    Verdict verdict = refusedBy(*reply);
    // RFC 5321 section 4.5.3.1.10: 552 to RCPT is an old spelling of 452.
    if (reply->code == 552) verdict.kind = Kind::Deferred;
    if (verdict.kind == Kind::Deferred && verdict.status.starts_with('5')) {
      verdict.status = reply->status ? "4" + verdict.status.substr(1) : "4.5.3";
    }
    return verdict;
  }
  if (chunkingRefused(transaction)) {
    return ours(Kind::Again, "4.5.0", "BDAT refused although CHUNKING was offered");
  }
  if (transaction.final_reply) {
    if (transaction.final_reply->positive()) {
      return fromReply(Kind::Delivered, *transaction.final_reply);
    }
    return refusedBy(*transaction.final_reply);
  }
  if (transaction.data_reply && transaction.data_reply->code != 354) {
    if (outOfStep(transaction, *transaction.data_reply)) return ours(Kind::Again, "4.5.0", kLost);
    return refusedBy(*transaction.data_reply);
  }
  return ours(Kind::Again, "4.4.2", "the transaction did not come to its end");
}

Verdict judgeBroken(const ClientTransaction& transaction, size_t recipient, const Break& how) {
  // A connection that has served enough: another one will do (a fresh one is an attempt).
  if (how.goodbye && how.reused_connection && transaction.mail_reply &&
      transaction.mail_reply->code == 421) {
    return ours(Kind::Again, "4.4.2", how.why.detail);
  }
  const bool refused = (transaction.mail_reply && !transaction.mail_reply->positive()) ||
                       (transaction.recipients[recipient].reply &&
                        !transaction.recipients[recipient].reply->positive()) ||
                       (transaction.data_reply && transaction.data_reply->code != 354);
  if (refused || transaction.final_reply) return judge(transaction, recipient);
  if (transaction.content_ended && !how.goodbye) {
    Verdict verdict =
        ours(Kind::Deferred, "4.4.2",
             "no answer to the end of data (the message may have been taken): " + how.why.detail);
    verdict.ambiguous = true;
    return verdict;
  }
  // Behind another one, or on an old connection that the server closed before it read our MAIL.
  if (!how.oldest || (how.reused_connection && !transaction.mail_reply &&
                      (how.why.code == Errc::Closed || how.why.code == Errc::Reset))) {
    return ours(Kind::Again, "4.4.2", how.why.detail);
  }
  Verdict verdict = judgeUnreachable(how.why);
  verdict.kind = Kind::Deferred;  // a conversation that broke is never for good
  if (verdict.status.starts_with('5')) verdict.status = "4.4.2";
  return verdict;
}

Verdict judgeUnreachable(const Error& why) {
  const auto deferred = [&](const char* status) {
    return ours(Kind::Deferred, status, why.detail);
  };
  const auto bounced = [&](const char* status) { return ours(Kind::Bounced, status, why.detail); };
  switch (why.code) {
    case Errc::NoDomain:
      return bounced("5.1.2");
    case Errc::NoData:
      return bounced("5.4.4");
    case Errc::NullMx:
      return bounced("5.1.10");  // RFC 7505 section 4.2
    case Errc::LoopsToUs:
      return bounced("5.4.6");
    case Errc::AddressRefused:
      return bounced("5.4.4");
    case Errc::Unsupported:
      return bounced("5.7.30");  // RFC 8689 section 4.2.1: no host can do what the message demands
    case Errc::DnsFailed:
      return deferred("4.4.3");
    case Errc::Timeout:
    case Errc::Refused:
    case Errc::Unreachable:
      return deferred("4.4.1");
    case Errc::Closed:
    case Errc::Reset:
    case Errc::Cancelled:
      return deferred("4.4.2");
    case Errc::Malformed:
    case Errc::TooLarge:
      return deferred("4.5.0");
    case Errc::TlsMissing:
      return deferred("4.7.4");
    case Errc::TlsFailed:
      return deferred("4.7.5");
    case Errc::AuthFailed:
      return deferred("4.7.8");
    case Errc::InvalidArgument:
    case Errc::NotFound:
    case Errc::Exists:
    case Errc::Io:
    case Errc::NoSpace:
    case Errc::Corrupt:
    case Errc::Busy:
      return deferred("4.3.0");
  }
  return deferred("4.0.0");
}

std::optional<Verdict> judgeOffer(const ClientTransaction& transaction,
                                  const smtp::ServerOffer& offer) {
  if (transaction.smtputf8 && !offer.smtputf8) {
    return ours(Kind::Bounced, "5.6.7",
                "the next host does not take internationalised addresses (SMTPUTF8)");
  }
  if (transaction.eight_bit && !offer.eight_bit_mime) {
    return ours(Kind::Bounced, "5.6.3", "the next host does not take 8-bit content (8BITMIME)");
  }
  return std::nullopt;
}

}  // namespace sluice::relay
