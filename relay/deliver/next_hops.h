// To which hosts does mail for a queue key go by a connector, and in which order?
//
// By `mx`: RFC 5321 section 5.1 (preference, shuffle within it, ourselves in the list), RFC 7505
// through the resolver, address literals. By `smart-host`: the configured hosts in order, or
// shuffled. Host names are turned into addresses later, one at a time, when a connection is made.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "net/dns/resolver.h"
#include "relay/deliver/delivery_context.h"

namespace sluice::relay {

struct HopHost {
  std::string name;  // host name, or an address as text
  uint16_t port = 25;
  std::vector<IpAddress> literal;  // given instead of being looked up
  bool covered = false;            // by the domain's MTA-STS policy
};

struct HopSet {
  std::shared_ptr<const Router> router;  // keeps `connector`
  const SendConfig* connector = nullptr;
  DeliveryLimits limits;
  std::vector<std::vector<HopHost>> by_preference;
  std::vector<std::string> host_names;  // in order, for people
  std::string identity;                 // equal for the same hosts over the same connector, and TLS
  std::string domain;                   // that was looked up; empty for smart hosts
  bool secure = false;                  // validated (DNSSEC): no one but the domain named the hosts
  TlsWish wish = TlsWish::None;         // of the messages that go there
  std::shared_ptr<const DomainTlsPolicy> policy;  // the domain's MTA-STS policy, if it is asked for
  SteadyTime valid_until = SteadyTime::max();

  // Every host once, in the order to try: by preference, shuffled within it.
  std::vector<HopHost> order() const;
};

// One look-up of next hops; destroying it gives it up.
class HopLookup {
 public:
  using Done = UniqueFunction<void(Result<std::shared_ptr<const HopSet>>)>;
  // `domain` is empty for a smart-host connector's key. `done` may be called from start().
  HopLookup(DeliveryContext& context, const SendConfig& connector, std::string domain, TlsWish wish,
            Done done);
  void start();

 private:
  void onMx(Result<net::MxAnswer> answer);
  void finish(std::shared_ptr<HopSet> hops);
  void onPolicy(std::shared_ptr<HopSet> hops, std::shared_ptr<const DomainTlsPolicy> policy);
  void conclude(std::shared_ptr<HopSet> hops);

  DeliveryContext& context_;
  std::shared_ptr<const Router> router_;
  const SendConfig& connector_;
  std::string domain_;
  TlsWish wish_;
  Done done_;
  std::unique_ptr<net::Lookup> lookup_;
  std::unique_ptr<net::Lookup> policy_lookup_;
};

}  // namespace sluice::relay
