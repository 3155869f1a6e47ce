// A server's side of one AUTH exchange (RFC 4954), whatever its mechanism: base64 lines in, what
// to do next out.
//
// No I/O and no passwords of ours: whether a password is right, and what verifier a user has, the
// owner finds out. One an exchange.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "net/sasl/scram_sha_256.h"

namespace sluice::sasl {

enum class Mechanism : uint8_t { Plain, Login, ScramSha256, ScramSha256Plus };

// As in EHLO: "SCRAM-SHA-256".
std::string_view nameOf(Mechanism mechanism);
// In any case (RFC 4422 section 3.1: upper case; clients differ).
std::optional<Mechanism> mechanismOf(std::string_view name);

class ServerExchange {
 public:
  enum class Next : uint8_t {
    Challenge,   // send challenge(); the client's line goes to onResponse()
    Password,    // is password() the one of user()? That ends the exchange
    Verifier,    // find user()'s verifier; onVerifier() goes on. Make one up for a stranger
    Accepted,    // user() has proven itself
    WrongProof,  // it has not
    Malformed,   // not base64, or not what the mechanism says
    Cancelled,   // "*"
  };

  ServerExchange(Mechanism mechanism, ScramBinding binding, std::string nonce = freshScramNonce());
  ~ServerExchange();  // wipes the password
  ServerExchange(const ServerExchange&) = delete;
  ServerExchange& operator=(const ServerExchange&) = delete;

  // With the base64 behind the mechanism's name, if there was one; "=" is an empty one.
  Next start(std::optional<std::string_view> initial_response);
  Next onResponse(std::string_view line);
  Next onVerifier(const ScramVerifier& verifier);

  Mechanism mechanism() const { return mechanism_; }
  const std::string& challenge() const { return challenge_; }  // base64
  const std::string& user() const { return user_; }
  std::string& password() { return password_; }  // may be moved from

 private:
  enum class Awaits : uint8_t { First, LoginPassword, ScramFinal, Acknowledgement };

  Next onMessage(std::string_view message);
  Next onPlain(std::string_view message);
  Next onLoginUser(std::string_view message);
  Next onLoginPassword(std::string_view message);
  Next onScramFirst(std::string_view message);
  Next onScramFinal(std::string_view message);
  Next ask(std::string_view challenge);

  const Mechanism mechanism_;
  Awaits awaits_ = Awaits::First;
  ScramServer scram_;
  std::string challenge_;
  std::string user_;
  std::string password_;
};

}  // namespace sluice::sasl
