// How a client's session becomes another in its course: by TLS, by AUTH, and by XCLIENT.
#include "net/smtp/server_protocol.h"

namespace sluice::smtp {
namespace {

constexpr ServerReply kNoArgument{501, {5, 5, 4}, "No argument allowed"};
constexpr ServerReply kNotImplemented{502, {5, 5, 1}, "Command not implemented"};

}  // namespace

void ServerProtocol::doStartTls(std::string_view argument) {
  if (!settings_.starttls) return refuse(kNotImplemented);
  if (!argument.empty()) return refuse(kNoArgument);
  if (tls_ || has_mail_) return refuse(ServerReply{503, {5, 5, 1}, "Not now"});
  if (behind_ > 0) {  // plaintext that would be taken for something said under TLS
    return close({421, {4, 7, 0}, "Commands were sent behind STARTTLS, closing"});
  }
  write({220, {2, 0, 0}, "Ready to start TLS"});
  mode_ = Mode::Handshake;
  events_.onStartTls();
}

// RFC 3207 section 4.2: what was said before is forgotten.
void ServerProtocol::tlsStarted(bool bound) {
  mode_ = Mode::Command;
  tls_ = true;
  bound_ = bound;
  authenticated_ = false;
  hello_ = false;
  extended_ = false;
}

void ServerProtocol::doAuth(std::string_view argument) {
  if (settings_.auth == AuthOffer::None) return refuse(kNotImplemented);
  if (settings_.auth == AuthOffer::UnderTls && !tls_) {
    return refuse(ServerReply{538, {5, 7, 11}, "Encryption is required for authentication"});
  }
  if (!extended_ || has_mail_ || authenticated_) {
    return refuse(ServerReply{503, {5, 5, 1}, "No AUTH at this point"});
  }
  const auto auth = parseAuth(argument);
  if (!auth) return refuse(auth.error());
  ask(Expect::Auth);
  events_.onAuth(*auth);
}

void ServerProtocol::challenge(std::string_view base64) {
  if (closing_ || expect_ != Expect::Auth) return;
  output_.append("334 ").append(base64).append("\r\n");
  expect_ = Expect::Nothing;
  mode_ = Mode::AuthResponse;
  resume();
}

void ServerProtocol::doXClient(std::string_view argument) {
  if (!xclient_) return refuse(ServerReply{550, {5, 7, 0}, "XCLIENT is not for you"});
  if (has_mail_) return refuse(ServerReply{503, {5, 5, 1}, "A transaction is under way"});
  const auto command = parseXClient(argument);
  if (!command) return refuse(command.error());
  ask(Expect::XClient);
  events_.onXClient(*command);
}

void ServerProtocol::restart(std::optional<bool> hello, bool known) {
  if (closing_ || expect_ != Expect::XClient) return;
  expect_ = Expect::Nothing;
  hello_ = hello.has_value();
  extended_ = hello.value_or(false);
  authenticated_ = known;
  appendGreeting();
  resume();
}

}  // namespace sluice::smtp
