#include "net/tls/sha256_stream.h"

#include <openssl/sha.h>

#include <new>
#include <type_traits>

namespace sluice::net {
namespace {

SHA256_CTX* contextIn(std::byte* state) {
  return std::launder(reinterpret_cast<SHA256_CTX*>(state));
}

}  // namespace

Sha256Stream::Sha256Stream() {
  static_assert(sizeof(SHA256_CTX) <= sizeof state_ && alignof(SHA256_CTX) <= 8);
  static_assert(std::is_trivially_copyable_v<SHA256_CTX>);
  SHA256_Init(new (state_) SHA256_CTX);
}

void Sha256Stream::update(std::string_view bytes) {
  SHA256_Update(contextIn(state_), bytes.data(), bytes.size());
}

Sha256Digest Sha256Stream::digest() const {
  Sha256Stream copy(*this);
  Sha256Digest digest;
  SHA256_Final(digest.data(), contextIn(copy.state_));
  return digest;
}

}  // namespace sluice::net
