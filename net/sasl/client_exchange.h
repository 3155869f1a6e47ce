// A client's side of one AUTH exchange (RFC 4954), whatever its mechanism: the server's base64 in,
// our lines out.
//
// No I/O; what is slow (SCRAM's keys) the owner does elsewhere. One an exchange.
#pragma once

#include <string>
#include <string_view>

#include "net/sasl/scram_sha_256.h"

namespace sluice::sasl {

enum class ClientMechanism : uint8_t {
  ScramSha256Plus,
  ScramSha256,
  Plain,
  Login,
  XOAuth2,
  OAuthBearer,
};

std::string_view nameOf(ClientMechanism mechanism);  // as in AUTH

struct ClientCredentials {
  std::string user;
  std::string password;  // or the token
  std::string host;      // for OAUTHBEARER
  uint16_t port = 0;
};

class ClientExchange {
 public:
  struct Step {
    enum class Kind : uint8_t {
      Send,      // `line`
      NeedKeys,  // deriveScramKeys() of the password by salt() and iterations(); then onKeys()
      Fail,      // send "*": `line` says in words what is wrong
    } kind;
    std::string line;
  };

  ClientExchange(ClientMechanism mechanism, ClientCredentials credentials,
                 ScramBinding binding = {}, std::string nonce = freshScramNonce());
  ~ClientExchange();  // wipes the password
  ClientExchange(const ClientExchange&) = delete;
  ClientExchange& operator=(const ClientExchange&) = delete;

  // What stands behind "AUTH ", with the first message where the mechanism begins with one.
  std::string begin();
  Step onChallenge(std::string_view base64);
  Step onKeys(const ScramKeys& keys);
  // Whether the server may say 235 now. One that has not proven itself where it must is another.
  bool complete() const;

  const ClientCredentials& credentials() const { return credentials_; }
  const std::string& salt() const { return scram_.salt(); }
  uint32_t iterations() const { return scram_.iterations(); }

 private:
  Step onScram(std::string_view message);

  const ClientMechanism mechanism_;
  ClientCredentials credentials_;
  ScramClient scram_;
  int challenges_ = 0;
  bool server_proven_ = false;
};

}  // namespace sluice::sasl
