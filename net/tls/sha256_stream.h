// SHA-256 of bytes that come in pieces.
//
// A plain value: a copy goes on from where the original stood, so that many digests can share a
// beginning. One thread at a time.
#pragma once

#include <cstddef>
#include <string_view>

#include "net/tls/crypto.h"

namespace sluice::net {

class Sha256Stream {
 public:
  Sha256Stream();
  void update(std::string_view bytes);
  Sha256Digest digest() const;  // of all so far

 private:
  alignas(8) std::byte state_[112];  // BoringSSL's SHA256_CTX, kept out of this header
};

}  // namespace sluice::net
