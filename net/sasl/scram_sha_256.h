// SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, both sides (RFC 5802, RFC 7677, RFC 9266).
//
// The password never travels, and each side proves that it knows what it must. Messages here are
// what is inside the base64. No I/O; cheap, but for deriveScramKeys(), which is slow on purpose.
// Passwords are taken as the bytes they are, without SASLprep.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/base/result.h"
#include "net/tls/crypto.h"

namespace sluice::sasl {

inline constexpr uint32_t kMinScramIterations = 4096;       // RFC 7677 section 4
inline constexpr uint32_t kMaxScramIterations = 2'000'000;  // a second or so; more is an attack

// A name as it stands in a message (RFC 5802 section 5.1): "," and "=" are escaped.
std::string writeSaslName(std::string_view name);

// What a server keeps of a password.
struct ScramVerifier {
  std::string salt;
  uint32_t iterations = 0;
  net::Sha256Digest stored_key{};
  net::Sha256Digest server_key{};
};

// What a client makes of one.
struct ScramKeys {
  net::Sha256Digest client_key{};
  net::Sha256Digest server_key{};
};

// PBKDF2: never on a loop. Errors: InvalidArgument (iterations out of bounds).
Result<ScramKeys> deriveScramKeys(std::string_view password, std::string_view salt,
                                  uint32_t iterations);
ScramVerifier scramVerifier(const ScramKeys& keys, std::string salt, uint32_t iterations);

// What ties an exchange to the TLS connection that it runs in.
struct ScramBinding {
  bool plus = false;          // the mechanism is SCRAM-SHA-256-PLUS
  bool plus_offered = false;  // by the server (client side: by the server to us)
  std::string exporter;       // tls-exporter bytes (RFC 9266), where there are
};

std::string freshScramNonce();

class ScramServer {
 public:
  ScramServer(ScramBinding binding, std::string nonce)
      : binding_(std::move(binding)), nonce_(std::move(nonce)) {}

  // Gives the user's name. Errors: Malformed; Refused (acts as another, a channel binding that
  // does not fit).
  Result<std::string> onClientFirst(std::string_view message);
  std::string challenge(const ScramVerifier& verifier);
  // Gives the last message, which proves us to the client. Errors: Malformed; Refused (the proof).
  Result<std::string> onClientFinal(std::string_view message);

 private:
  ScramBinding binding_;
  std::string nonce_;  // ours, then the client's and ours
  std::string gs2_header_;
  std::string auth_message_;  // as far as it is known
  ScramVerifier verifier_;
};

class ScramClient {
 public:
  ScramClient(std::string user, ScramBinding binding, std::string nonce)
      : user_(std::move(user)), binding_(std::move(binding)), nonce_(std::move(nonce)) {}

  std::string first();
  // Afterwards salt() and iterations() say what keys are wanted. Errors: Malformed, Refused (a
  // nonce that is not ours, too few or too many iterations).
  Result<void> onServerFirst(std::string_view message);
  const std::string& salt() const { return salt_; }
  uint32_t iterations() const { return iterations_; }
  std::string final(const ScramKeys& keys);
  // Errors: Malformed; Refused (the server does not know the password).
  Result<void> onServerFinal(std::string_view message) const;

 private:
  std::string user_;
  ScramBinding binding_;
  std::string nonce_;
  std::string salt_;
  uint32_t iterations_ = 0;
  std::string auth_message_;
  net::Sha256Digest server_signature_{};
};

}  // namespace sluice::sasl
