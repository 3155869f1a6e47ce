#include "relay/accept/auth_failures.h"

#include <algorithm>

namespace sluice::relay {
namespace {

constexpr std::chrono::seconds kSweepPeriod{1};
constexpr size_t kHostPrefixBytes = 8;  // /64

}  // namespace

bool AuthFailures::shutOut(const std::string& subject, SteadyTime now) const {
  const std::lock_guard lock(mutex_);
  const auto found = records_.find(subject);
  return found != records_.end() && now < found->second.out_until;
}

bool AuthFailures::failed(const std::string& subject, const AuthLockout& limits, SteadyTime now) {
  const std::lock_guard lock(mutex_);
  Record* record = recordOf(subject, now);
  if (record == nullptr || now < record->out_until) return false;
  if (now >= record->window_ends) *record = {0, now + limits.window, {}};
  if (++record->failures < limits.failures) return false;
  *record = {0, {}, now + limits.time};
  return limits.time > milliseconds{0};
}

// Null if there is no room even without those whose time is over.
AuthFailures::Record* AuthFailures::recordOf(const std::string& subject, SteadyTime now) {
  const auto found = records_.find(subject);
  if (found != records_.end()) return &found->second;
  if (records_.size() >= kMaxSubjects) {
    if (now - swept_ < kSweepPeriod) return nullptr;
    swept_ = now;
    std::erase_if(records_, [now](const auto& entry) {
      return now >= entry.second.window_ends && now >= entry.second.out_until;
    });
    if (records_.size() >= kMaxSubjects) return nullptr;
  }
  return &records_[subject];
}

void AuthFailures::forget(const std::string& subject) {
  const std::lock_guard lock(mutex_);
  records_.erase(subject);
}

size_t AuthFailures::size() const {
  const std::lock_guard lock(mutex_);
  return records_.size();
}

std::string clientSubject(const IpAddress& client) {
  if (client.isV4()) return client.toString();
  auto bytes = client.bytes();
  std::string subject;
  for (size_t i = 0; i < kHostPrefixBytes; ++i) subject.push_back(static_cast<char>(bytes[i]));
  return subject;
}

}  // namespace sluice::relay
