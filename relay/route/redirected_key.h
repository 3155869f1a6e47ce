// The queue key of mail that an administrator sends by a connector, whatever the routes say.
//
// "=>NAME" where the connector sends to smart hosts, "=>NAME>DOMAIN" where it asks the DNS: no
// connector's name begins with '>' or has one, and no domain begins with '='. A relay that does not
// know the form finds no such connector, and queues the mail as its routes say. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "relay/config/config.h"

namespace sluice::relay {

struct RedirectedKey {
  std::string_view connector;
  std::string_view domain;  // empty for smart hosts
};

std::string redirectedKey(const SendConfig& connector, std::string_view domain);

// Nothing if the key is of another kind; a wish in front does not matter. Views into `key`.
std::optional<RedirectedKey> parseRedirectedKey(std::string_view key);

}  // namespace sluice::relay
