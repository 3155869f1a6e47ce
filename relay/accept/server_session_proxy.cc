// How a session comes to speak for another client than the one that is connected: XCLIENT.
#include "relay/accept/server_session.h"

namespace sluice::relay {
namespace {

constexpr smtp::ServerReply kNobody{535, {5, 7, 8}, "No such user"};
constexpr smtp::ServerReply kNotNow{451, {4, 3, 0}, "Cannot look the user up now, try again later"};
constexpr smtp::ServerReply kTooManyOfTheirs{
    421, {4, 7, 0}, "Too many connections from that address, try again later"};

}  // namespace

void ServerSession::onXClient(const smtp::XClientCommand& said) {
  if (!said.login || said.login->empty()) return speakFor(said, nullptr);
  if (!settings_->connector.users_file.empty() && context_.auth) return findLogin(said);
  auto login = std::make_shared<User>();
  login->name = *said.login;
  speakFor(said, std::move(login));
}

// Who has rights of their own in the users file keeps to them, whoever checked the password.
void ServerSession::findLogin(const smtp::XClientCommand& said) {
  const AuthClaim claim{*said.login, client_.address, "XCLIENT",
                        std::shared_ptr<const ReceiveConfig>(settings_, &settings_->connector)};
  const bool asked =
      context_.auth->find(context_.loop, claim, [link = link_, said](AuthServer::Answer answer) {
        ServerSession* session = link->session;
        if (!session || session->over_) return;
        if (!answer.user) {
          session->protocol_.reply(answer.ready ? kNobody : kNotNow);
        } else {
          session->speakFor(said, std::move(answer.user));
        }
        if (!session->feeding_) session->afterInput();
      });
  if (!asked) protocol_.reply(kNotNow);
}

void ServerSession::speakFor(const smtp::XClientCommand& said, std::shared_ptr<const User> login) {
  const IpAddress before = client_.address;
  spoken_for_ = true;
  auth_.reset();  // that was the proxy's
  if (said.address) {
    client_ = {said.address->value_or(IpAddress()), 0};
    client_known_ = said.address->has_value();
    if (!owner_.onClientChanged(*this, before)) return protocol_.reply(kTooManyOfTheirs);
  }
  if (said.port) client_.port = *said.port;
  if (said.name) client_name_ = *said.name;
  if (said.login) login_ = std::move(login);
  std::optional<bool> hello;  // a name stands for EHLO or HELO; without one, that is still to come
  if (said.hello) {
    hello_ = *said.hello;
    if (!hello_.empty()) hello = said.extended.value_or(protocol_.extended());
  }
  protocol_.restart(hello, user() != nullptr);
}

RelayClient ServerSession::relayClient() const {
  return {client_.address, user() != nullptr, trustedByCertificate(), client_known_};
}

std::string ServerSession::clientText() const {
  return client_.address == IpAddress() ? "unknown" : client_.toString();
}

}  // namespace sluice::relay
