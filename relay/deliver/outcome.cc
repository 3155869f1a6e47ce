#include "relay/deliver/outcome.h"

#include <fmt/format.h>

namespace sluice::relay {
namespace {

using smtp::ClientTransaction;
using smtp::Reply;
using Kind = Verdict::Kind;

Verdict fromReply(Kind kind, const Reply& reply) {
  return {kind, reply.code, statusOf(reply), reply.text, true, false};
}

Verdict refusedBy(const Reply& reply) {
  return fromReply(reply.permanent() ? Kind::Bounced : Kind::Deferred, reply);
}

Verdict ours(Kind kind, std::string status, std::string text) {
  return {kind, 0, std::move(status), std::move(text), false, false};
}

// 452 to some of the recipients, or 552 to any, means "no more in this transaction".
bool meansTooMany(const Reply& reply, const ClientTransaction& transaction) {
  return (reply.code == 452 || reply.code == 552) && transaction.anyRecipientTaken();
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

Verdict judge(const ClientTransaction& transaction, size_t recipient) {
  if (transaction.mail_reply && !transaction.mail_reply->positive()) {
    return refusedBy(*transaction.mail_reply);
  }
  const auto& reply = transaction.recipients[recipient].reply;
  if (reply && !reply->positive()) {
    if (meansTooMany(*reply, transaction)) return ours(Kind::Again, "4.5.3", reply->text);
    Verdict verdict = refusedBy(*reply);
    // RFC 5321 section 4.5.3.1.10: 552 to RCPT is an old spelling of 452.
    if (reply->code == 552) verdict.kind = Kind::Deferred;
    if (verdict.kind == Kind::Deferred && verdict.status.starts_with('5')) {
      verdict.status = "4.5.3";
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
    return refusedBy(*transaction.data_reply);
  }
  return ours(Kind::Again, "4.4.2", "the transaction did not come to its end");
}

Verdict judgeBroken(const ClientTransaction& transaction, size_t recipient, const Break& how) {
  const bool refused = (transaction.mail_reply && !transaction.mail_reply->positive()) ||
                       (transaction.recipients[recipient].reply &&
                        !transaction.recipients[recipient].reply->positive()) ||
                       (transaction.data_reply && transaction.data_reply->code != 354);
  if (refused || transaction.final_reply) return judge(transaction, recipient);
  if (transaction.content_ended) {
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
    case Errc::InvalidArgument:
    case Errc::NotFound:
    case Errc::Exists:
    case Errc::Io:
    case Errc::NoSpace:
    case Errc::Corrupt:
    case Errc::Unsupported:
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
