// What has a mail domain published about the TLS of its MX hosts, apart from DANE (RFC 8461:
// MTA-STS)?
//
// Delivery asks this interface once for each look-up of a domain's hosts, on the shard's loop;
// whoever knows policies implements it. Without a source no domain has published any.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/base/clock.h"
#include "net/base/unique_function.h"
#include "net/dns/resolver.h"

namespace sluice::relay {

struct DomainTlsPolicy {
  enum class Mode : uint8_t { None, Testing, Enforce };

  Mode mode = Mode::None;
  std::vector<std::string> mx_patterns;        // lower case: "mx.example.net", "*.example.net"
  std::vector<std::string> lines;              // as published, "key: value" (for reports: RFC 8460)
  SteadyTime valid_until = SteadyTime::max();  // then it is asked for again

  // RFC 8461 section 4.1: a wildcard stands for one label. `host` in lower case.
  bool covers(std::string_view host) const {
    return std::any_of(mx_patterns.begin(), mx_patterns.end(), [&](std::string_view pattern) {
      if (!pattern.starts_with("*.")) return pattern == host;
      const size_t dot = host.find('.');
      return dot != std::string_view::npos && dot > 0 && host.substr(dot) == pattern.substr(1);
    });
  }
};

class TlsPolicySource {
 public:
  // nullptr: the domain has published none (or none that can be had and used now).
  using Done = UniqueFunction<void(std::shared_ptr<const DomainTlsPolicy>)>;

  virtual ~TlsPolicySource() = default;
  // `domain` is a recipient domain as A-labels in lower case. `done` is called once, from within
  // the call or later on the same loop; not if the Lookup is destroyed before.
  virtual std::unique_ptr<net::Lookup> find(const std::string& domain, Done done) = 0;
};

}  // namespace sluice::relay
