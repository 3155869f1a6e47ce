// Which hosts could not be reached lately, and until when do they rest?
//
// A failure is held against the address, not against the messages that waited for it: it rests for
// host_backoff, doubling with each failure in a row, never beyond a limit. One a shard; bounded.
#pragma once

#include <string>
#include <unordered_map>

#include "net/base/clock.h"
#include "net/base/ip_address.h"

namespace sluice::relay {

class HostHealth {
 public:
  static constexpr size_t kMaxHosts = 100'000;

  // Until when `host` rests; the past if it may be tried.
  SteadyTime restsUntil(const Endpoint& host) const;
  void failed(const Endpoint& host, SteadyTime now, Duration first_rest, Duration longest_rest);
  void reached(const Endpoint& host) { hosts_.erase(host); }
  void forgetAll() { hosts_.clear(); }

 private:
  struct Record {
    unsigned failures = 0;
    SteadyTime rests_until{};
  };
  std::unordered_map<Endpoint, Record> hosts_;
};

// `first`, doubled `failures` - 1 times, at most `longest`.
Duration restAfter(unsigned failures, Duration first, Duration longest);

}  // namespace sluice::relay
