// How a session learns who its client is (AUTH), and what that client may send as.
#include "relay/accept/server_session.h"

namespace sluice::relay {

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

bool ServerSession::maySend(std::string_view reverse_path) const {
  return !user() || user()->maySend(reverse_path);
}

}  // namespace sluice::relay
