// Private keys that sign: RSA and Ed25519, read from PEM, made anew, written as PKCS#8.
//
// A key never changes; any thread may sign with it, several at once. An RSA signature takes around
// a millisecond and belongs off the loops; an Ed25519 one takes some ten microseconds.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "net/base/result.h"
#include "net/tls/crypto.h"

namespace sluice::net {

class SigningKey {
 public:
  enum class Kind { Rsa, Ed25519 };

  // The private key in a PEM text: PKCS#8, or the older "RSA PRIVATE KEY". Errors: Malformed
  // (nothing that can be read as one, or encrypted), Unsupported (another algorithm).
  static Result<std::shared_ptr<const SigningKey>> fromPem(std::string_view pem);
  // Errors: InvalidArgument (a size that nobody should use), Io (the library failed).
  static Result<std::shared_ptr<const SigningKey>> makeRsa(unsigned bits);
  static Result<std::shared_ptr<const SigningKey>> makeEd25519();

  ~SigningKey();
  SigningKey(const SigningKey&) = delete;
  SigningKey& operator=(const SigningKey&) = delete;

  Kind kind() const;
  unsigned bits() const;  // of an RSA modulus; 256 for Ed25519
  // RSA: PKCS#1 v1.5 of a SHA-256 digest (RFC 8017 section 8.2). Ed25519: PureEdDSA (RFC 8032) of
  // the digest's 32 bytes, as RFC 8463 section 3 wants it. Errors: Io (the library failed).
  Result<std::string> sign(const Sha256Digest& digest) const;
  // Of RSA the SubjectPublicKeyInfo in DER, of Ed25519 the 32 bytes: what a DKIM record holds.
  std::string publicKey() const;
  std::string toPem() const;  // PKCS#8, not encrypted

 private:
  struct Handle;
  explicit SigningKey(std::unique_ptr<Handle> handle);
  static Result<std::shared_ptr<const SigningKey>> of(std::unique_ptr<Handle> handle);
  std::unique_ptr<Handle> handle_;
};

}  // namespace sluice::net
