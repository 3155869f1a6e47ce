// Which random bytes, digests and encodings does the rest of the relay need from BoringSSL?
#include "net/tls/crypto.h"

#include <openssl/base64.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/mem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

namespace sluice::net {
namespace {

const uint8_t* bytesOf(std::string_view view) {
  return reinterpret_cast<const uint8_t*>(view.data());
}

template <class Number>
Number randomNumber() {
  std::array<uint8_t, sizeof(Number)> bytes;
  randomBytes(bytes);
  Number number = 0;
  for (const uint8_t byte : bytes) number = static_cast<Number>((uint64_t{number} << 8) | byte);
  return number;
}

}  // namespace

void randomBytes(std::span<uint8_t> out) { RAND_bytes(out.data(), out.size()); }
uint16_t randomUint16() { return randomNumber<uint16_t>(); }
uint64_t randomUint64() { return randomNumber<uint64_t>(); }

bool constantTimeEqual(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Sha256Digest sha256(std::string_view bytes) {
  Sha256Digest digest;
  SHA256(bytesOf(bytes), bytes.size(), digest.data());
  return digest;
}

Sha256Digest hmacSha256(std::string_view key, std::string_view bytes) {
  Sha256Digest digest;
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), key.size(), bytesOf(bytes), bytes.size(), digest.data(), &size);
  return digest;
}

Result<Sha256Digest> pbkdf2Sha256(std::string_view password, std::string_view salt,
                                  uint32_t iterations) {
  Sha256Digest digest;
  if (iterations == 0 ||
      PKCS5_PBKDF2_HMAC(password.data(), password.size(), bytesOf(salt), salt.size(), iterations,
                        EVP_sha256(), digest.size(), digest.data()) != 1) {
    return fail(Errc::InvalidArgument, "PBKDF2 needs at least one iteration");
  }
  return digest;
}

Result<Sha256Digest> scrypt(std::string_view password, std::string_view salt, uint64_t cost,
                            uint64_t block_size, uint64_t parallel) {
  Sha256Digest digest;
  if (EVP_PBE_scrypt(password.data(), password.size(), bytesOf(salt), salt.size(), cost, block_size,
                     parallel, kMaxScryptBytes, digest.data(), digest.size()) != 1) {
    return fail(Errc::InvalidArgument, "scrypt parameters out of range");
  }
  return digest;
}

void wipe(std::string& secret) {
  OPENSSL_cleanse(secret.data(), secret.size());
  secret.clear();
}

std::string hexEncode(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    text += kDigits[byte >> 4];
    text += kDigits[byte & 0x0f];
  }
  return text;
}

std::string base64Encode(std::string_view bytes) {
  // EVP_EncodeBlock ends its output with a NUL, which is where a string keeps its own.
  std::string text((bytes.size() + 2) / 3 * 4, '\0');
  EVP_EncodeBlock(reinterpret_cast<uint8_t*>(text.data()), bytesOf(bytes), bytes.size());
  return text;
}

Result<std::string> base64Decode(std::string_view text) {
  std::string bytes(text.size() / 4 * 3, '\0');
  size_t size = 0;
  if (EVP_DecodeBase64(reinterpret_cast<uint8_t*>(bytes.data()), &size, bytes.size(), bytesOf(text),
                       text.size()) != 1) {
    return fail(Errc::Malformed, "not base64");
  }
  bytes.resize(size);
  // BoringSSL ignores what is left of the last bits; two spellings of one value are one too many.
  if (base64Encode(bytes) != text) return fail(Errc::Malformed, "not base64");
  return bytes;
}

}  // namespace sluice::net
