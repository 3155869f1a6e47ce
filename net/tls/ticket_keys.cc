#include "net/tls/ticket_keys.h"

#include <algorithm>

#include "net/tls/crypto.h"

namespace sluice::net {
namespace {

TicketKey newKey() {
  TicketKey key;
  randomBytes(key.name);
  randomBytes(key.cipher_key);
  randomBytes(key.mac_key);
  return key;
}

}  // namespace

TicketKeys::TicketKeys(const Clock& clock)
    : clock_(clock), since_(clock.steady()), current_(newKey()) {}

void TicketKeys::rotate() {
  const auto age = clock_.steady() - since_;
  if (age < kPeriod) return;
  previous_.reset();
  if (age < 2 * kPeriod) previous_ = current_;
  current_ = newKey();
  since_ = clock_.steady();
}

TicketKey TicketKeys::current() {
  const std::lock_guard lock(mutex_);
  rotate();
  return current_;
}

std::optional<TicketKeys::Found> TicketKeys::find(std::span<const uint8_t> name) {
  const std::lock_guard lock(mutex_);
  rotate();
  if (std::ranges::equal(name, current_.name)) return Found{current_, false};
  if (previous_ && std::ranges::equal(name, previous_->name)) return Found{*previous_, true};
  return std::nullopt;
}

}  // namespace sluice::net
