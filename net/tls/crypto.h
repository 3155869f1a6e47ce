// Random bytes, digests, encodings and password hashes: the one door to BoringSSL for all who do
// not speak TLS.
//
// Plain functions, any thread. pbkdf2Sha256() and scrypt() are slow on purpose: never on a loop.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "net/base/result.h"

namespace sluice::net {

using Sha256Digest = std::array<uint8_t, 32>;

// From the kernel-seeded generator; cannot fail.
void randomBytes(std::span<uint8_t> out);
uint16_t randomUint16();
uint64_t randomUint64();

// Takes time by the lengths only, which are no secret.
bool constantTimeEqual(std::string_view a, std::string_view b);

Sha256Digest sha256(std::string_view bytes);
Sha256Digest hmacSha256(std::string_view key, std::string_view bytes);
// RFC 8018 §5.2. Errors: InvalidArgument (no iterations).
Result<Sha256Digest> pbkdf2Sha256(std::string_view password, std::string_view salt,
                                  uint32_t iterations);
// RFC 7914; `cost` is N, a power of two. Errors: InvalidArgument, also when it would take more than
// kMaxScryptBytes of memory.
inline constexpr size_t kMaxScryptBytes = size_t{256} << 20;
Result<Sha256Digest> scrypt(std::string_view password, std::string_view salt, uint64_t cost,
                            uint64_t block_size, uint64_t parallel);

// Overwrites and empties it, so that a secret does not stay in memory.
void wipe(std::string& secret);

inline std::string_view asView(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string hexEncode(std::string_view bytes);  // lower case
// RFC 4648 §4 with padding, without line breaks.
std::string base64Encode(std::string_view bytes);
// Errors: Malformed (anything but the one right spelling: no blanks, full padding).
Result<std::string> base64Decode(std::string_view text);

}  // namespace sluice::net
