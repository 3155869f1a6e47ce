// A client's attempts to authenticate in one session: which mechanism, how it goes, what is
// answered and when.
//
// On the session's loop; made at its first AUTH. A wrong user and a wrong password get the same
// answer after the same work and the same wait. RFC 4954.
#pragma once

#include <memory>
#include <optional>

#include "net/deadlines.h"
#include "net/sasl/server_exchange.h"
#include "net/smtp/server_protocol.h"
#include "relay/accept/accept_metrics.h"
#include "relay/accept/auth_server.h"
#include "relay/accept/receive_settings.h"

namespace sluice::relay {

class AuthDialogue {
 public:
  // The session it is of; all of it outlives the dialogue.
  struct Session {
    net::Loop& loop;
    AuthServer& server;
    AcceptMetrics& metrics;
    smtp::ServerProtocol& protocol;
    std::shared_ptr<const ReceiveSettings> settings;
    IpAddress client;
    sasl::ScramBinding binding;
    Task after_answer;  // the protocol was answered outside of any call from the session
  };
  explicit AuthDialogue(Session session);

  void onAuth(const smtp::AuthCommand& auth);
  void onResponse(std::string_view line);
  // Who the client has proven to be; null before.
  const User* user() const { return user_.get(); }

 private:
  using Next = sasl::ServerExchange::Next;

  std::optional<sasl::Mechanism> offered(std::string_view name) const;
  AuthClaim claim() const;
  void follow(Next next);
  void checkPassword();
  void findVerifier();
  void succeed();
  void fail(const smtp::ServerReply& reply);
  void answerLate();

  Session session_;
  std::unique_ptr<sasl::ServerExchange> exchange_;
  std::shared_ptr<const User> user_;
  std::shared_ptr<const User> asked_for_;  // SCRAM: whose verifier was sent, if it is anyone's
  int failures_ = 0;
  smtp::ServerReply late_reply_;
  net::Deadline delay_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace sluice::relay
