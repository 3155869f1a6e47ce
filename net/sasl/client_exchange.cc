#include "net/sasl/client_exchange.h"

#include "net/sasl/oauth.h"
#include "net/sasl/plain.h"

namespace sluice::sasl {
namespace {

using Step = ClientExchange::Step;

Step send(std::string_view message) { return {Step::Kind::Send, net::base64Encode(message)}; }
Step fail(std::string why) { return {Step::Kind::Fail, std::move(why)}; }

}  // namespace

std::string_view nameOf(ClientMechanism mechanism) {
  switch (mechanism) {
    case ClientMechanism::ScramSha256Plus:
      return "SCRAM-SHA-256-PLUS";
    case ClientMechanism::ScramSha256:
      return "SCRAM-SHA-256";
    case ClientMechanism::Plain:
      return "PLAIN";
    case ClientMechanism::Login:
      return "LOGIN";
    case ClientMechanism::XOAuth2:
      return "XOAUTH2";
    case ClientMechanism::OAuthBearer:
      return "OAUTHBEARER";
  }
  return "";
}

ClientExchange::ClientExchange(ClientMechanism mechanism, ClientCredentials credentials,
                               ScramBinding binding, std::string nonce)
    : mechanism_(mechanism),
      credentials_(std::move(credentials)),
      scram_(credentials_.user, std::move(binding), std::move(nonce)) {}

ClientExchange::~ClientExchange() { net::wipe(credentials_.password); }

std::string ClientExchange::begin() {
  std::string line(nameOf(mechanism_));
  const auto with = [&](std::string_view message) {
    return line.append(" ").append(net::base64Encode(message));
  };
  switch (mechanism_) {
    case ClientMechanism::ScramSha256Plus:
    case ClientMechanism::ScramSha256:
      return with(scram_.first());
    case ClientMechanism::Plain:
      return with(writePlain(credentials_.user, credentials_.password));
    case ClientMechanism::XOAuth2:
      return with(writeXOAuth2(credentials_.user, credentials_.password));
    case ClientMechanism::OAuthBearer:
      return with(writeOAuthBearer(credentials_.user, credentials_.host, credentials_.port,
                                   credentials_.password));
    case ClientMechanism::Login:  // not all that know it know of a first message
      return line;
  }
  return line;
}

ClientExchange::Step ClientExchange::onChallenge(std::string_view base64) {
  ++challenges_;
  switch (mechanism_) {
    case ClientMechanism::Login:  // in this order, whatever the prompts say
      if (challenges_ == 1) return send(credentials_.user);
      if (challenges_ == 2) return send(credentials_.password);
      return fail("more is asked for than user and password");
    case ClientMechanism::Plain:
      return fail("more is asked for than was said");
    case ClientMechanism::XOAuth2:
    case ClientMechanism::OAuthBearer:
      if (challenges_ > 1) return fail("the token is refused");
      return send(mechanism_ == ClientMechanism::XOAuth2 ? kXOAuth2Resignation
                                                         : kOAuthBearerResignation);
    case ClientMechanism::ScramSha256Plus:
    case ClientMechanism::ScramSha256:
      break;
  }
  const auto message = net::base64Decode(base64);
  return message ? onScram(*message) : fail("a challenge that is not base64");
}

ClientExchange::Step ClientExchange::onScram(std::string_view message) {
  if (challenges_ == 1) {
    const auto taken = scram_.onServerFirst(message);
    return taken ? Step{Step::Kind::NeedKeys, {}} : fail(taken.error().detail);
  }
  if (challenges_ != 2) return fail("more is asked for than SCRAM has");
  const auto proven = scram_.onServerFinal(message);
  if (!proven) return fail(proven.error().detail);
  server_proven_ = true;
  return send("");
}

ClientExchange::Step ClientExchange::onKeys(const ScramKeys& keys) {
  return send(scram_.final(keys));
}

bool ClientExchange::complete() const {
  const bool scram =
      mechanism_ == ClientMechanism::ScramSha256 || mechanism_ == ClientMechanism::ScramSha256Plus;
  return !scram || server_proven_;
}

}  // namespace sluice::sasl
