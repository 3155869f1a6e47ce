#include "relay/accept/auth_dialogue.h"

#include <algorithm>
#include <utility>

namespace sluice::relay {
namespace {

using smtp::ServerReply;

constexpr int kMaxFailures = 3;  // in a session

constexpr ServerReply kWelcome{235, {2, 7, 0}, "Authentication successful"};
constexpr ServerReply kNotOffered{504, {5, 5, 4}, "Mechanism not offered"};
constexpr ServerReply kMalformed{501, {5, 5, 2}, "Not what the mechanism wants"};
constexpr ServerReply kCancelled{501, {5, 7, 0}, "Authentication cancelled"};
constexpr ServerReply kWrong{535, {5, 7, 8}, "Authentication credentials invalid"};
constexpr ServerReply kShutOut{454, {4, 7, 0}, "Too many failed authentications, try again later"};
constexpr ServerReply kNotNow{454, {4, 7, 0}, "Cannot authenticate now, try again later"};
constexpr ServerReply kEnough{421, {4, 7, 0}, "Too many failed authentications, closing"};

}  // namespace

AuthDialogue::AuthDialogue(Session session) : session_(std::move(session)) {
  delay_.onDue([this] { answerLate(); });
}

std::optional<sasl::Mechanism> AuthDialogue::offered(std::string_view name) const {
  const auto mechanism = sasl::mechanismOf(name);
  const auto& all = session_.settings->mechanisms;
  if (!mechanism || std::find(all.begin(), all.end(), *mechanism) == all.end()) return std::nullopt;
  if (*mechanism == sasl::Mechanism::ScramSha256Plus && !session_.binding.plus_offered) {
    return std::nullopt;
  }
  return mechanism;
}

AuthClaim AuthDialogue::claim() const {
  return {exchange_->user(), session_.client, std::string(nameOf(exchange_->mechanism())),
          std::shared_ptr<const ReceiveConfig>(session_.settings, &session_.settings->connector)};
}

void AuthDialogue::onAuth(const smtp::AuthCommand& auth) {
  const auto mechanism = offered(auth.mechanism);
  if (!mechanism) return session_.protocol.reply(kNotOffered);
  sasl::ScramBinding binding = session_.binding;
  binding.plus = *mechanism == sasl::Mechanism::ScramSha256Plus;
  exchange_ = std::make_unique<sasl::ServerExchange>(*mechanism, std::move(binding));
  if (session_.server.shutOut(claim())) {
    session_.metrics.auth_shut_out.add();
    return fail(kShutOut);
  }
  follow(exchange_->start(auth.initial_response));
}

void AuthDialogue::onResponse(std::string_view line) { follow(exchange_->onResponse(line)); }

void AuthDialogue::follow(Next next) {
  switch (next) {
    case Next::Challenge:
      return session_.protocol.challenge(exchange_->challenge());
    case Next::Password:
      return checkPassword();
    case Next::Verifier:
      return findVerifier();
    case Next::Accepted:
      session_.server.succeeded(claim());
      user_ = std::move(asked_for_);
      return succeed();
    case Next::WrongProof:
      session_.server.failed(claim());
      session_.metrics.auth_failed.add();
      return fail(kWrong);
    case Next::Malformed:
      session_.metrics.auth_failed.add();
      return fail(kMalformed);
    case Next::Cancelled:
      return fail(kCancelled);
  }
}

void AuthDialogue::checkPassword() {
  if (session_.server.shutOut(claim())) {
    session_.metrics.auth_shut_out.add();
    return fail(kShutOut);
  }
  const bool asked = session_.server.check(
      session_.loop, claim(), std::exchange(exchange_->password(), {}),
      [this, alive = std::weak_ptr<char>(alive_)](AuthServer::Answer answer) {
        if (alive.expired()) return;
        user_ = std::move(answer.user);
        if (user_) {
          succeed();
        } else {
          (answer.ready ? session_.metrics.auth_failed : session_.metrics.auth_not_now).add();
          fail(answer.ready ? kWrong : kNotNow);
        }
        session_.after_answer();
      });
  if (asked) return;
  session_.metrics.auth_not_now.add();
  fail(kNotNow);
}

void AuthDialogue::findVerifier() {
  if (session_.server.shutOut(claim())) {
    session_.metrics.auth_shut_out.add();
    return fail(kShutOut);
  }
  const bool asked =
      session_.server.find(session_.loop, claim(),
                           [this, alive = std::weak_ptr<char>(alive_)](AuthServer::Answer answer) {
                             if (alive.expired()) return;
                             if (answer.ready) {
                               asked_for_ = std::move(answer.user);
                               follow(exchange_->onVerifier(answer.verifier));
                             } else {
                               session_.metrics.auth_not_now.add();
                               fail(kNotNow);
                             }
                             session_.after_answer();
                           });
  if (asked) return;
  session_.metrics.auth_not_now.add();
  fail(kNotNow);
}

void AuthDialogue::succeed() {
  session_.metrics.auth_accepted.add();
  exchange_.reset();
  failures_ = 0;
  session_.protocol.authenticated();
  session_.protocol.reply(kWelcome);
}

// Every failure waits, so that guessing is slow and no reason shows by its speed.
void AuthDialogue::fail(const ServerReply& reply) {
  late_reply_ = ++failures_ < kMaxFailures ? reply : kEnough;
  const Duration wait = session_.settings->connector.auth_failure_delay;
  if (wait <= Duration{}) return session_.protocol.reply(late_reply_);
  delay_.arm(session_.loop.deadlines(), wait);
}

void AuthDialogue::answerLate() {
  session_.protocol.reply(late_reply_);
  session_.after_answer();
}

}  // namespace sluice::relay
