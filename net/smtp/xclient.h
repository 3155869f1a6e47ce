// What a trusted proxy says of its client by XCLIENT: attributes of the client, to stand in place
// of the proxy's own.
//
// No I/O. Form: Postfix's XCLIENT_README: attribute=value, values xtext; "[UNAVAILABLE]" and
// "[TEMPUNAVAIL]" for what is not known. Whether the peer may say so is for others to judge.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "net/base/ip_address.h"
#include "net/smtp/command.h"

namespace sluice::smtp {

// An attribute that was not given is not set; one that is not known is set and empty.
struct XClientCommand {
  std::optional<std::string> name;                  // the client's host name
  std::optional<std::optional<IpAddress>> address;  // nothing inside: not known
  std::optional<uint16_t> port;                     // 0: not known
  std::optional<bool> extended;                     // PROTO: ESMTP, or SMTP
  std::optional<std::string> hello;
  std::optional<std::string> login;
  std::optional<std::optional<IpAddress>> destination_address;
  std::optional<uint16_t> destination_port;
};

// Takes the argument behind the verb. At least one attribute, each at most once.
Parsed<XClientCommand> parseXClient(std::string_view argument);

}  // namespace sluice::smtp
