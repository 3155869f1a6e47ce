// Which way does mail for a domain leave: by which send connectors, under which queue key, within
// which limits?
//
// A Router is made of one configuration and never changes, so all shards share it; a reload makes a
// new one. It owns the SendConfigs that it hands out. A look-up costs one hash probe a label.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "net/base/result.h"
#include "queue/queue.h"
#include "relay/config/config.h"
#include "relay/route/address_space.h"
#include "relay/route/tls_wish.h"

namespace sluice::relay {

// Send connectors in the order in which to try them; never empty. Valid as long as the Router.
struct RouteChoice {
  std::span<const SendConfig* const> connectors;
  const SendConfig& best() const { return *connectors.front(); }
};

class Router {
 public:
  Router(std::vector<SendConfig> connectors, std::vector<DestinationConfig> destinations);
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;

  // Connectors whose address space contains the domain: those of the most specific space only, by
  // cost, then by name. Errors: NotFound.
  Result<RouteChoice> route(std::string_view domain) const;
  // What recipients of this domain are queued under: the domain itself, or "=" and the connector's
  // name if it sends to smart hosts, because then all its domains share one destination; marked by
  // what the message wishes of TLS. Errors: NotFound.
  Result<queue::QueueKey> queueKey(std::string_view domain, TlsWish wish = TlsWish::None) const;
  // The way for a queue key. For "=name" that is the connector of this name alone: its
  // alternatives are route()'s of each recipient's domain, and differ. Errors: NotFound.
  Result<RouteChoice> routeOfKey(std::string_view key) const;
  // nullptr if there is none of this name.
  const SendConfig* connector(std::string_view name) const;
  std::span<const SendConfig> connectors() const { return connectors_; }

  // The connector's limits with the [[destination]] exceptions that match the domain or one of the
  // hosts. Each key is taken from the most specific match that sets it: exact domain, subdomains
  // (the longest first), "*", exact MX host, MX pattern (the longest first). Of equals, the later
  // one in the configuration. `domain` is empty for a destination that serves many.
  DeliveryLimits limitsFor(const SendConfig& connector, std::string_view domain,
                           std::span<const std::string> mx_hosts) const;

 private:
  struct CostedConnector {
    int cost;
    const SendConfig* connector;
  };
  struct MxPattern {
    std::string glob;
    size_t exception;
  };

  void addSpaces(const SendConfig& connector,
                 AddressSpaceMap<std::vector<CostedConnector>>& costed) const;
  void addException(size_t index);

  const std::vector<SendConfig> connectors_;
  const std::vector<DestinationConfig> exceptions_;
  std::unordered_map<std::string_view, const SendConfig*> by_name_;
  std::vector<const SendConfig*> in_order_;  // connectors_, one by one: routeOfKey() gives slices
  AddressSpaceMap<std::vector<const SendConfig*>> spaces_;
  AddressSpaceMap<std::vector<size_t>> domain_exceptions_;  // indexes into exceptions_
  std::vector<MxPattern> mx_exceptions_;                    // least specific first
};

// Does a host name match a pattern in which each "*" stands for one character or more (so that
// "*.example.net" takes in names with one label or more in front)?
bool hostMatches(std::string_view pattern, std::string_view host);

}  // namespace sluice::relay
