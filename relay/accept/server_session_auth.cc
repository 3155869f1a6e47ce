// How a session learns who its client is (AUTH), and what a client may send as.
#include "relay/accept/relay_policy.h"
#include "relay/accept/server_session.h"

namespace sluice::relay {
namespace {

constexpr smtp::ServerReply kNotTheirPath{550, {5, 7, 1}, "Not a reverse-path of this user's"};
constexpr smtp::ServerReply kNotTheirName{550, {5, 7, 1}, "From is not this user's to write as"};
constexpr smtp::ServerReply kNotOurDomain{550, {5, 7, 1}, "Not a domain that sends through here"};
constexpr smtp::ServerReply kTooFast{450, {4, 7, 1}, "Message rate of this user exceeded, wait"};
constexpr smtp::ServerReply kNoQuota{452, {4, 7, 1}, "Daily quota of this user is used up"};

}  // namespace

void ServerSession::onAuth(const smtp::AuthCommand& auth) {
  if (!context_.auth) {
    return protocol_.reply({454, {4, 7, 0}, "Cannot authenticate now, try again later"});
  }
  if (!auth_) {
    sasl::ScramBinding binding;
    if (tls_) binding.exporter = tls_->exporter().value_or("");
    binding.plus_offered =
        !binding.exporter.empty() && !settings_->protocol.auth_mechanisms_bound.empty();
    auth_ = std::make_unique<AuthDialogue>(AuthDialogue::Session{
        context_.loop,
        *context_.auth,
        context_.metrics,
        protocol_,
        settings_,
        client_.address,
        std::move(binding),
        [this] {
          if (!over_ && !feeding_) afterInput();
        },
    });
  }
  auth_->onAuth(auth);
}

void ServerSession::onAuthResponse(std::string_view line) { auth_->onResponse(line); }

const smtp::ServerReply* ServerSession::refusesSender(std::string_view reverse_path) {
  if (user() && !user()->maySend(reverse_path)) return &kNotTheirPath;
  if (!isSenderDomain(settings_->connector, reverse_path)) return &kNotOurDomain;
  if (user() && context_.limits && !context_.limits->takeMessage(*user())) return &kTooFast;
  return nullptr;
}

const smtp::ServerReply* ServerSession::refusesRecipient() {
  if (!user() || user()->quota == 0 || !context_.limits) return nullptr;
  auto& quota = transaction_->quota;
  if (!quota) quota = std::make_unique<UserLimits::Hold>(*context_.limits, *user());
  return quota->add(user()->quota) ? nullptr : &kNoQuota;
}

// What will be refused need not be kept; the rest of it is still to come.
void ServerSession::watchAuthor(std::string_view clean) {
  AuthorCheck& check = *transaction_->author_check;
  if (check.feed(clean) && !check.allowed()) onContentDropped();
}

bool ServerSession::refuseAuthor(uint64_t ticket) {
  transaction_->author_check->finish();
  if (transaction_->author_check->allowed()) return false;
  const std::unique_ptr<MailTransaction> transaction = std::move(transaction_);
  logRefused(transaction->senderText(), transaction->recipientsText(), kNotTheirName);
  protocol_.replyToContent(ticket, kNotTheirName);
  return true;
}

}  // namespace sluice::relay
