#include "relay/accept/user_limits.h"

#include <algorithm>
#include <charconv>

namespace sluice::relay {

int64_t UserLimits::today() const {
  return std::chrono::floor<std::chrono::days>(clock_.wall()).time_since_epoch().count();
}

bool UserLimits::takeMessage(const User& user) {
  if (user.rate.count == 0) return true;
  const std::lock_guard lock(mutex_);
  Account& account = accounts_[user.name];
  const SteadyTime now = clock_.steady();
  const auto most = static_cast<double>(user.rate.count);
  if (account.begun) {
    const double passed = std::chrono::duration<double>(now - account.filled).count();
    account.messages = std::min(most, account.messages + passed * user.rate.perSecond());
  } else {
    account.messages = most;
  }
  account.begun = true;
  account.filled = now;
  if (account.messages < 1) return false;
  account.messages -= 1;
  return true;
}

bool UserLimits::takeRecipient(const std::string& user, uint64_t quota, int64_t& day) {
  const std::lock_guard lock(mutex_);
  Account& account = accounts_[user];
  const int64_t now = today();
  if (account.day != now) {
    account.day = now;
    account.recipients = 0;
  }
  if (account.recipients >= quota) return false;
  ++account.recipients;
  account.changed = true;
  day = now;
  return true;
}

void UserLimits::giveBack(const std::string& user, int64_t day, uint64_t recipients) {
  const std::lock_guard lock(mutex_);
  Account& account = accounts_[user];
  if (account.day != day) return;
  account.recipients -= std::min(account.recipients, recipients);
  account.changed = true;
}

UserLimits::Hold::~Hold() {
  if (recipients_ > 0) limits_.giveBack(user_, day_, recipients_);
}

// At midnight a transaction begins its count anew: what it had is the last day's.
bool UserLimits::Hold::add(uint64_t quota) {
  const int64_t before = day_;
  if (!limits_.takeRecipient(user_, quota, day_)) return false;
  recipients_ = day_ == before ? recipients_ + 1 : 1;
  return true;
}

std::vector<std::pair<std::string, std::string>> UserLimits::usage() {
  std::vector<std::pair<std::string, std::string>> changed;
  const std::lock_guard lock(mutex_);
  for (auto& [user, account] : accounts_) {
    if (!std::exchange(account.changed, false)) continue;
    changed.emplace_back(user,
                         std::to_string(account.day) + " " + std::to_string(account.recipients));
  }
  return changed;
}

bool UserLimits::restore(const std::string& user, const std::string& value) {
  int64_t day = 0;
  uint64_t recipients = 0;
  const char* const end = value.data() + value.size();
  const auto first = std::from_chars(value.data(), end, day);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != ' ') return false;
  const auto second = std::from_chars(first.ptr + 1, end, recipients);
  if (second.ec != std::errc() || second.ptr != end || day != today()) return false;
  const std::lock_guard lock(mutex_);
  Account& account = accounts_[user];
  account.day = day;
  account.recipients = recipients;
  return true;
}

}  // namespace sluice::relay
