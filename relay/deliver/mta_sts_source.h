// Which MTA-STS policy has a domain: its record from this shard's resolver, its policy from what
// all shards know (RFC 8461 section 3.1).
//
// One a shard, on its loop.
#pragma once

#include <memory>
#include <string>

#include "net/dns/resolver.h"
#include "net/loop.h"
#include "relay/deliver/mta_sts_policies.h"
#include "relay/deliver/tls_policy_source.h"

namespace sluice::relay {

class MtaStsSource final : public TlsPolicySource {
 public:
  MtaStsSource(net::Loop& loop, net::Resolver& resolver, MtaStsPolicies& policies)
      : loop_(loop), resolver_(resolver), policies_(policies) {}

  std::unique_ptr<net::Lookup> find(const std::string& domain, Done done) override;

 private:
  class Search;
  net::Loop& loop_;
  net::Resolver& resolver_;
  MtaStsPolicies& policies_;
};

}  // namespace sluice::relay
