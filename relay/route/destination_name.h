// What is a destination called, and when are two destinations the same one?
//
// A destination is the set of hosts that mail goes to over one connector. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "relay/config/config.h"

namespace sluice::relay {

// "smtp.example.net:587"; an IPv6 address gets brackets.
std::string smartHostName(const SmartHost& host);

// The domain if the destination serves only one (else pass ""), otherwise its hosts in their order:
// "mx1.example.net,mx2.example.net".
std::string destinationName(std::string_view only_domain, std::span<const std::string> hosts);

// Equal for equal sets of hosts over the same connector, in whatever order; for maps, not for
// people.
std::string destinationIdentity(std::string_view connector, std::span<const std::string> hosts);

}  // namespace sluice::relay
