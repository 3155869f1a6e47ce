// Which refusals say that our configuration is wrong, not the message?
//
// What submission servers answer to a relay that they do not know (RFC 4954 section 6; Exchange
// Online's own codes). Such mail waits; it is not bounced. Pure.
#pragma once

#include <string_view>

#include "net/smtp/reply.h"

namespace sluice::relay {

inline constexpr std::string_view kConfigurationFault = "a fault of this relay's configuration:";

// What to change, as notices say it; empty if the reply is about something else.
std::string_view configurationFault(const smtp::Reply& reply);

}  // namespace sluice::relay
