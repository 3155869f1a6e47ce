// How a client and a server come to terms: greeting, EHLO, STARTTLS, AUTH.
#include <fmt/format.h>

#include "net/smtp/client_protocol.h"

namespace sluice::smtp {

void ClientProtocol::onGreeting(const Reply& reply) {
  if (!reply.positive()) {
    state_ = State::Over;
    return handler_.onRefused(Expect::Greeting, reply);
  }
  greeting_name_ = reply.text.substr(0, reply.text.find_first_of(" \n"));
  sayHello();
}

void ClientProtocol::sayHello() {
  state_ = State::Hello;
  handler_.send(fmt::format("EHLO {}\r\n", options_.helo));
  owe(Expect::Ehlo);
}

void ClientProtocol::onHello(Expect stage, const Reply& reply) {
  if (reply.positive()) {
    offer_ = stage == Expect::Ehlo ? readOffer(reply) : ServerOffer{};
    if (tls_ || options_.starttls == StartTls::Never) return becomeOpen();
    if (offer_.starttls) {
      handler_.send(std::string_view("STARTTLS\r\n"));
      return owe(Expect::StartTls);
    }
    if (options_.starttls == StartTls::IfOffered) return becomeOpen();
    return breakOff(Errc::TlsMissing, "does not offer STARTTLS, which is required");
  }
  // RFC 5321 section 3.2: a server that does not know EHLO may know HELO.
  if (stage == Expect::Ehlo && reply.permanent() && reply.code != 521 && reply.code != 554) {
    handler_.send(fmt::format("HELO {}\r\n", options_.helo));
    return owe(Expect::Helo);
  }
  state_ = State::Over;
  handler_.onRefused(stage, reply);
}

void ClientProtocol::onStartTlsReply(const Reply& reply) {
  if (reply.positive()) {
    state_ = State::Handshake;
  } else if (options_.starttls == StartTls::Required) {
    breakOff(Errc::TlsMissing, "refuses STARTTLS, which is required: " + reply.toString());
  } else {
    becomeOpen();
  }
}

void ClientProtocol::tlsStarted() {
  tls_ = true;
  offer_ = {};
  if (state_ == State::Handshake) sayHello();
}

void ClientProtocol::becomeOpen() {
  if (options_.authenticate && !authenticated_) {
    state_ = State::Authenticating;
    return handler_.onAuthTurn(offer_);
  }
  state_ = State::Open;
  handler_.onOpen(offer_);
}

void ClientProtocol::authenticate(std::string_view mechanism_and_message) {
  if (state_ != State::Authenticating || !owed_.empty()) return;
  handler_.send(fmt::format("AUTH {}\r\n", mechanism_and_message));
  owe(Expect::Auth);
}

void ClientProtocol::answerChallenge(std::string_view line) {
  if (state_ != State::Authenticating || !owed_.empty()) return;
  handler_.send(fmt::format("{}\r\n", line));
  owe(Expect::Auth);
}

void ClientProtocol::onAuthReply(const Reply& reply) {
  if (reply.code == 334) return handler_.onChallenge(reply.text);
  if (!reply.positive()) {
    state_ = State::Over;
    return handler_.onRefused(Expect::Auth, reply);
  }
  if (!handler_.authIsComplete()) {
    return breakOff(Errc::AuthFailed, "says 235 without having shown that it knows the password");
  }
  authenticated_ = true;
  becomeOpen();
}

}  // namespace sluice::smtp
