// How a session signs what it accepts: the content is looked at as it comes, and the commit waits
// for the signatures, which are made off the loop where that takes long.
#include "relay/accept/server_session.h"

namespace sluice::relay {
namespace {

constexpr smtp::ServerReply kNotSigned{451, {4, 3, 0}, "Message could not be signed"};

}  // namespace

// Behind our Received field, which no signature covers.
void ServerSession::beginSigning() {
  if (context_.dkim && !context_.dkim->empty()) {
    transaction_->signer = std::make_unique<DkimSigner>(context_.dkim);
  }
}

void ServerSession::appendContent(std::string_view clean) {
  transaction_->incoming->append(clean);
  if (transaction_->signer) transaction_->signer->append(clean);
}

void ServerSession::signThenCommit(uint64_t ticket, const smtp::ContentFindings& findings) {
  std::unique_ptr<MailTransaction> transaction = std::move(transaction_);
  if (!transaction->signer) return commit(ticket, std::move(transaction), findings);
  std::vector<DkimDraft> drafts = transaction->signer->finish(context_.loop.wallNow());
  if (drafts.empty()) {
    context_.metrics.unsigned_messages.add();
    return commit(ticket, std::move(transaction), findings);
  }
  ++commits_under_way_;  // the message is ours, even if the client goes
  signing_.emplace(ticket, std::move(transaction));
  context_.signing->sign(std::move(drafts), context_.loop,
                         [link = link_, ticket, findings](Result<std::vector<std::string>> fields) {
                           if (link->session)
                             link->session->onSigned(ticket, findings, std::move(fields));
                         });
}

void ServerSession::onSigned(uint64_t ticket, const smtp::ContentFindings& findings,
                             Result<std::vector<std::string>> fields) {
  --commits_under_way_;
  std::unique_ptr<MailTransaction> transaction = std::move(signing_.extract(ticket).mapped());
  if (fields) {
    context_.metrics.signed_messages.add();
    std::string& front = transaction->envelope().front_fields;
    for (const std::string& field : *fields) front.append(field);
    return commit(ticket, std::move(transaction), findings);
  }
  logRefused(transaction->senderText(), transaction->recipientsText(), kNotSigned);
  if (client_gone_) {
    if (!committing()) finish();
    return;
  }
  protocol_.replyToContent(ticket, kNotSigned);
  if (!feeding_) afterInput();
}

}  // namespace sluice::relay
