// What does a message wish of the TLS on its way (RFC 8689), and how does its queue key say so?
//
// Recipients of such messages are queued apart from others of the same domain, since they demand
// other connections: under their key with a mark in front, which no domain and no "=NAME" begins
// with.
#pragma once

#include <string>
#include <string_view>

#include "queue/envelope.h"

namespace sluice::relay {

enum class TlsWish : uint8_t {
  None,
  Required,  // REQUIRETLS: to proven hosts that pass the demand on, or not at all
  Optional   // TLS-Required: No: whatever the recipient's domain has published
};

// RFC 8689 section 5: a notice says REQUIRETLS where it can, and goes in any case.
inline TlsWish wishOf(const queue::Envelope& envelope) {
  if (envelope.require_tls && !envelope.reverse_path.empty()) return TlsWish::Required;
  return envelope.tls_optional ? TlsWish::Optional : TlsWish::None;
}

inline constexpr char kTlsRequiredMark = '!';
inline constexpr char kTlsOptionalMark = '~';

inline TlsWish wishOfKey(std::string_view key) {
  if (key.starts_with(kTlsRequiredMark)) return TlsWish::Required;
  return key.starts_with(kTlsOptionalMark) ? TlsWish::Optional : TlsWish::None;
}

// The key without its mark.
inline std::string_view withoutWish(std::string_view key) {
  return key.substr(wishOfKey(key) == TlsWish::None ? 0 : 1);
}

inline std::string withWish(std::string_view key, TlsWish wish) {
  std::string marked;
  if (wish == TlsWish::Required) marked += kTlsRequiredMark;
  if (wish == TlsWish::Optional) marked += kTlsOptionalMark;
  return marked.append(key);
}

}  // namespace sluice::relay
