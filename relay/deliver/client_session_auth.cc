// How a connection to a smart host is authenticated: which mechanism, with which secret.
//
// Never without TLS. What is slow (SCRAM's keys, a token's file) is done off the loop.
#include <fmt/format.h>

#include <utility>

#include "relay/config/file_checks.h"
#include "relay/deliver/auth_choice.h"
#include "relay/deliver/client_session.h"

namespace sluice::relay {

Error ClientSession::authFailure(std::string_view why) const {
  const SendConfig& connector = *hops_->connector;
  const std::string_view mechanism = mechanism_ ? nameOf(*mechanism_) : "none";
  return {Errc::AuthFailed, fmt::format("{} [{}] does not take the credentials of [[send]] \"{}\" "
                                        "(user {}, mechanism {}): {}",
                                        host_.name, endpoint_.toString(), connector.name,
                                        connector.username, mechanism, why)};
}

// Does `work` on a thread of its own and goes on with what came of it, if the connection still is.
template <class Value, class Work>
void ClientSession::offLoop(Work work, void (ClientSession::*then)(Value)) {
  const auto protocol = protocol_.get();
  const bool taken =
      context_.workers &&
      context_.workers->run([this, protocol, then, work = std::move(work), &loop = context_.loop,
                             alive = std::weak_ptr<char>(alive_)]() mutable {
        loop.post([this, protocol, then, value = work(), alive = std::move(alive)]() mutable {
          if (alive.expired() || state_ != State::Greeting || protocol_.get() != protocol) return;
          (this->*then)(std::move(value));
          afterActivity();
        });
      });
  if (!taken) break_ = Error{Errc::Busy, "too much waits for authentication"};
}

void ClientSession::onAuthTurn(const smtp::ServerOffer& offer) {
  const SendConfig& connector = *hops_->connector;
  mechanism_.reset();
  if (!tls_) {
    break_ =
        Error{Errc::TlsMissing, fmt::format("{} [{}]: no TLS, and credentials are not sent without",
                                            host_.name, endpoint_.toString())};
    return;
  }
  const auto source = oauthSource();
  const auto chosen = chooseMechanism(connector.auth_mechanism, offer, source != nullptr);
  if (!chosen) {
    break_ = authFailure(chosen.error().detail);
    return;
  }
  mechanism_ = *chosen;
  if (source) return askForToken(source);
  if (usesToken(*mechanism_) && !connector.password_file.empty()) return readToken();
  beginAuth(connector.password);
}

// At each use: somebody else keeps it fresh.
void ClientSession::readToken() {
  offLoop<Result<std::string>>(
      [path = hops_->connector->password_file] { return readSecret(path); },
      &ClientSession::beginAuth);
}

std::shared_ptr<const OAuthSource> ClientSession::oauthSource() const {
  if (!context_.oauth || !context_.oauth_sources) return nullptr;
  const auto found = context_.oauth_sources->find(hops_->connector->name);
  return found == context_.oauth_sources->end() ? nullptr : found->second;
}

// Of all shards' one keeper of tokens, which asks the endpoint if it has none.
void ClientSession::askForToken(std::shared_ptr<const OAuthSource> source) {
  context_.oauth->get(
      source, context_.loop,
      [this, source, protocol = protocol_.get(),
       alive = std::weak_ptr<char>(alive_)](Result<OAuthTokens::Answer> answer) {
        if (alive.expired() || state_ != State::Greeting || protocol_.get() != protocol) return;
        kept_token_ = answer && answer->kept ? source : nullptr;
        if (answer) {
          beginAuth(std::move(answer->token));
        } else {
          break_ = answer.error();
        }
        afterActivity();
      });
}

// A token may be taken back before its time: then a new one is fetched, once.
bool ClientSession::mayTryNewToken(const smtp::Reply& reply) {
  const auto source = std::exchange(kept_token_, nullptr);
  if (!source || !auth_ || !reply.permanent()) return false;
  context_.oauth->refused(source, auth_->credentials().password);
  return true;
}

void ClientSession::beginAuth(Result<std::string> secret) {
  if (!secret) {
    break_ = authFailure(secret.error().detail);
    return;
  }
  auth_ = std::make_unique<sasl::ClientExchange>(
      *mechanism_, sasl::ClientCredentials{hops_->connector->username, std::move(*secret),
                                           host_.name, endpoint_.port});
  protocol_->authenticate(auth_->begin());
}

void ClientSession::onChallenge(std::string_view base64) {
  using Kind = sasl::ClientExchange::Step::Kind;
  auto step = auth_->onChallenge(base64);
  if (step.kind == Kind::NeedKeys) return makeKeys();
  takeStep(std::move(step));
}

void ClientSession::takeStep(sasl::ClientExchange::Step step) {
  if (step.kind == sasl::ClientExchange::Step::Kind::Fail) {
    break_ = authFailure(step.line);
    return;
  }
  protocol_->answerChallenge(step.line);
}

void ClientSession::makeKeys() {
  const std::string& password = auth_->credentials().password;
  // Not the password itself, and the same for all that it depends on.
  const std::string key = std::to_string(auth_->iterations()) + " " +
                          std::string(net::asView(net::hmacSha256(password, auth_->salt())));
  if (const auto known = context_.scram_keys.find(key); known != context_.scram_keys.end()) {
    return takeStep(auth_->onKeys(known->second));
  }
  offLoop<std::pair<std::string, sasl::ScramKeys>>(
      [key, password = std::string(password), salt = auth_->salt(),
       iterations = auth_->iterations()]() mutable {
        const auto keys = sasl::deriveScramKeys(password, salt, iterations);
        net::wipe(password);
        return std::pair(std::move(key), keys.value_or(sasl::ScramKeys{}));
      },
      &ClientSession::onKeys);
}

void ClientSession::onKeys(std::pair<std::string, sasl::ScramKeys> made) {
  if (context_.scram_keys.size() >= DeliveryContext::kMaxScramKeys) context_.scram_keys.clear();
  const auto& keys = context_.scram_keys.insert_or_assign(std::move(made.first), made.second);
  takeStep(auth_->onKeys(keys.first->second));
}

bool ClientSession::authIsComplete() {
  const bool complete = auth_->complete();
  if (complete) auth_.reset();
  return complete;
}

}  // namespace sluice::relay
