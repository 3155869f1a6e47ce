// Which hosts offer extensions that they, or a box in front of them, do not master?
//
// Such a host is served without the extension for a while, then tried anew. One a shard; bounded.
#pragma once

#include <array>
#include <chrono>
#include <unordered_map>

#include "net/base/clock.h"
#include "net/base/ip_address.h"

namespace sluice::relay {

class HostQuirks {
 public:
  enum class Extension : uint8_t { Pipelining, Chunking };
  static constexpr size_t kMaxHosts = 10'000;
  static constexpr std::chrono::hours kRemembered{1};

  bool lacks(const Endpoint& host, Extension extension, SteadyTime now) const;
  // Of more than kMaxHosts hosts, some other one is forgotten.
  void note(const Endpoint& host, Extension extension, SteadyTime now);
  // It fails without the extension as well: that was not why.
  void forget(const Endpoint& host, Extension extension);
  size_t size() const { return hosts_.size(); }

 private:
  using Until = std::array<SteadyTime, 2>;  // by Extension
  std::unordered_map<Endpoint, Until> hosts_;
};

}  // namespace sluice::relay
