#include "net/sasl/server_exchange.h"

#include <algorithm>
#include <array>

#include "net/sasl/plain.h"

namespace sluice::sasl {
namespace {

constexpr std::array<std::pair<Mechanism, std::string_view>, 4> kNames{
    {{Mechanism::Plain, "PLAIN"},
     {Mechanism::Login, "LOGIN"},
     {Mechanism::ScramSha256, "SCRAM-SHA-256"},
     {Mechanism::ScramSha256Plus, "SCRAM-SHA-256-PLUS"}}};

bool equalsIgnoringCase(std::string_view written, std::string_view name) {
  return written.size() == name.size() &&
         std::equal(written.begin(), written.end(), name.begin(), [](char a, char b) {
           return a == b || (a >= 'a' && a <= 'z' && a - 'a' + 'A' == b);
         });
}

ServerExchange::Next failed(const Error& why) {
  return why.code == Errc::Refused ? ServerExchange::Next::WrongProof
                                   : ServerExchange::Next::Malformed;
}

}  // namespace

std::string_view nameOf(Mechanism mechanism) {
  return kNames[static_cast<size_t>(mechanism)].second;
}

std::optional<Mechanism> mechanismOf(std::string_view name) {
  for (const auto& [mechanism, text] : kNames) {
    if (equalsIgnoringCase(name, text)) return mechanism;
  }
  return std::nullopt;
}

ServerExchange::ServerExchange(Mechanism mechanism, ScramBinding binding, std::string nonce)
    : mechanism_(mechanism), scram_(std::move(binding), std::move(nonce)) {}

ServerExchange::~ServerExchange() { net::wipe(password_); }

ServerExchange::Next ServerExchange::ask(std::string_view challenge) {
  challenge_ = net::base64Encode(challenge);
  return Next::Challenge;
}

ServerExchange::Next ServerExchange::start(std::optional<std::string_view> initial_response) {
  if (!initial_response) {
    return ask(mechanism_ == Mechanism::Login ? kLoginUserPrompt : std::string_view());
  }
  return *initial_response == "=" ? onMessage("") : onResponse(*initial_response);
}

ServerExchange::Next ServerExchange::onResponse(std::string_view line) {
  if (line == "*") return Next::Cancelled;
  auto message = net::base64Decode(line);
  if (!message) return Next::Malformed;
  const Next next = onMessage(*message);
  net::wipe(*message);
  return next;
}

ServerExchange::Next ServerExchange::onMessage(std::string_view message) {
  switch (awaits_) {
    case Awaits::First:
      if (mechanism_ == Mechanism::Plain) return onPlain(message);
      return mechanism_ == Mechanism::Login ? onLoginUser(message) : onScramFirst(message);
    case Awaits::LoginPassword:
      return onLoginPassword(message);
    case Awaits::ScramFinal:
      return onScramFinal(message);
    case Awaits::Acknowledgement:  // of our last message: empty (RFC 4954 section 4)
      return message.empty() ? Next::Accepted : Next::Malformed;
  }
  return Next::Malformed;
}

ServerExchange::Next ServerExchange::onPlain(std::string_view message) {
  auto claim = readPlain(message);
  if (!claim) return failed(claim.error());
  user_ = std::move(claim->user);
  password_ = std::move(claim->password);
  return Next::Password;
}

ServerExchange::Next ServerExchange::onLoginUser(std::string_view message) {
  if (!isUserName(message)) return Next::Malformed;
  user_ = message;
  awaits_ = Awaits::LoginPassword;
  return ask(kLoginPasswordPrompt);
}

ServerExchange::Next ServerExchange::onLoginPassword(std::string_view message) {
  if (!isPassword(message)) return Next::Malformed;
  password_ = message;
  return Next::Password;
}

ServerExchange::Next ServerExchange::onScramFirst(std::string_view message) {
  auto user = scram_.onClientFirst(message);
  if (!user) return failed(user.error());
  user_ = std::move(*user);
  return Next::Verifier;
}

ServerExchange::Next ServerExchange::onVerifier(const ScramVerifier& verifier) {
  awaits_ = Awaits::ScramFinal;
  return ask(scram_.challenge(verifier));
}

ServerExchange::Next ServerExchange::onScramFinal(std::string_view message) {
  const auto last = scram_.onClientFinal(message);
  if (!last) return failed(last.error());
  awaits_ = Awaits::Acknowledgement;
  return ask(*last);
}

}  // namespace sluice::sasl
