// What `sluice load` writes into its messages and `sluice sink` reads out of them, so that lost,
// repeated and damaged messages can be told apart.
//
//   X-Sluice-Load-Id: RUN.SEQ            names the message
//   X-Sluice-Load-Proof: NS LENGTH HASH  when it was sent (steady clock), and what its body was
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace sluice::relay {

inline constexpr std::string_view kLoadIdField = "X-Sluice-Load-Id";
inline constexpr std::string_view kLoadProofField = "X-Sluice-Load-Proof";

// 64 bits of a string, eight bytes a step. Finds accidents (truncation, exchange, a lost dot); is
// not meant to resist an attacker.
uint64_t quickHash(std::string_view bytes, uint64_t seed = 0);

struct LoadProof {
  uint64_t sent_ns = 0;
  uint64_t body_bytes = 0;
  uint64_t body_hash = 0;
};

// The value of a header field that stands on one line: from behind "Name: " to the line's end.
// `header` is the header section. Empty if it is not there.
std::string_view lineField(std::string_view header, std::string_view name);

// "NS LENGTH HASH", the hash in hex.
std::optional<LoadProof> parseProof(std::string_view value);

}  // namespace sluice::relay
