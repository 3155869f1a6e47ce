// Who has failed to authenticate too often, and until when are they shut out?
//
// Counts by subject: an account's name or a client's network. Any thread. Bounded: what is over is
// forgotten when room is needed.
#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "net/base/clock.h"
#include "net/base/ip_address.h"
#include "relay/config/config.h"

namespace sluice::relay {

class AuthFailures {
 public:
  static constexpr size_t kMaxSubjects = 100'000;

  bool shutOut(const std::string& subject, SteadyTime now) const;
  // Counts one; true if by this one the subject is shut out.
  bool failed(const std::string& subject, const AuthLockout& limits, SteadyTime now);
  void forget(const std::string& subject);
  size_t size() const;

 private:
  struct Record {
    int failures = 0;
    SteadyTime window_ends{};
    SteadyTime out_until{};
  };
  Record* recordOf(const std::string& subject, SteadyTime now);

  mutable std::mutex mutex_;
  std::unordered_map<std::string, Record> records_;  // guarded by mutex_
  SteadyTime swept_{};                               // guarded by mutex_
};

// What a client is counted by: its address, or the /64 that an IPv6 host has for itself.
std::string clientSubject(const IpAddress& client);

}  // namespace sluice::relay
