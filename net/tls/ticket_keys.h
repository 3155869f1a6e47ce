// The keys of session tickets (RFC 5077, RFC 8446 section 4.6.1), replaced every few hours.
//
// Whoever has such a key can read what was resumed with its tickets, so it lives in memory only and
// not for long. Shared by all listeners of the process; any thread (one lock a handshake).
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>

#include "net/base/clock.h"

namespace sluice::net {

struct TicketKey {
  std::array<uint8_t, 16> name{};
  std::array<uint8_t, 32> cipher_key{};  // AES-256
  std::array<uint8_t, 32> mac_key{};     // HMAC-SHA256
};

class TicketKeys {
 public:
  static constexpr std::chrono::hours kPeriod{12};  // a ticket is good for one, its key for two

  explicit TicketKeys(const Clock& clock = Clock::system());

  // For new tickets.
  TicketKey current();
  struct Found {
    TicketKey key;
    bool renew = false;  // it is the former one: give the client a new ticket
  };
  // The key that a ticket was made with; nothing if it is unknown, or too old.
  std::optional<Found> find(std::span<const uint8_t> name);

 private:
  void rotate();

  const Clock& clock_;
  std::mutex mutex_;
  SteadyTime since_;                   // guarded by mutex_
  TicketKey current_;                  // guarded by mutex_
  std::optional<TicketKey> previous_;  // guarded by mutex_
};

}  // namespace sluice::net
