// How a session learns who its client is (AUTH), and what a client may send as.
#include "relay/accept/relay_policy.h"
#include "relay/accept/server_session.h"

namespace sluice::relay {
namespace {

constexpr smtp::ServerReply kNotTheirs{550, {5, 7, 1}, "Not a reverse-path of this user's"};
constexpr smtp::ServerReply kNotOurDomain{550, {5, 7, 1}, "Not a domain that sends through here"};

}  // namespace

void ServerSession::onAuth(const smtp::AuthCommand& auth) {
  if (!context_.auth) {
    return protocol_.reply({454, {4, 7, 0}, "Cannot authenticate now, try again later"});
  }
  if (!auth_) {
    auth_ = std::make_unique<AuthDialogue>(AuthDialogue::Session{
        context_.loop,
        *context_.auth,
        context_.metrics,
        protocol_,
        settings_,
        client_.address,
        {},
        [this] {
          if (!over_ && !feeding_) afterInput();
        },
    });
  }
  auth_->onAuth(auth);
}

void ServerSession::onAuthResponse(std::string_view line) { auth_->onResponse(line); }

const smtp::ServerReply* ServerSession::whyNotFrom(std::string_view reverse_path) const {
  if (user() && !user()->maySend(reverse_path)) return &kNotTheirs;
  return isSenderDomain(settings_->connector, reverse_path) ? nullptr : &kNotOurDomain;
}

}  // namespace sluice::relay
