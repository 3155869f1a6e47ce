// What is a destination called, and when are two destinations the same one?
#include "relay/route/destination_name.h"

#include <algorithm>
#include <vector>

namespace sluice::relay {

std::string smartHostName(const SmartHost& host) {
  const bool v6 = host.host.find(':') != std::string::npos && !host.host.starts_with('[');
  return (v6 ? '[' + host.host + ']' : host.host) + ':' + std::to_string(host.port);
}

std::string destinationName(std::string_view only_domain, std::span<const std::string> hosts) {
  if (!only_domain.empty()) return std::string(only_domain);
  std::string name;
  for (const std::string& host : hosts) {
    if (!name.empty()) name += ',';
    name += host;
  }
  return name;
}

std::string destinationIdentity(std::string_view connector, std::span<const std::string> hosts) {
  std::vector<std::string_view> sorted(hosts.begin(), hosts.end());
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  // The lengths keep the parts apart whatever bytes they hold.
  std::string identity = std::to_string(connector.size()) + ':' + std::string(connector);
  for (const std::string_view host : sorted) {
    identity += std::to_string(host.size());
    identity += ':';
    identity += host;
  }
  return identity;
}

}  // namespace sluice::relay
