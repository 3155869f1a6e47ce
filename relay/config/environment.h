// The configuration of a relay that has no file: a dozen environment variables, the container's
// quick start. docs/configuration.md lists them.
#pragma once

#include "relay/config/config_reader.h"

namespace sluice::relay {

// SLUICE_HOSTNAME, SLUICE_DATA_DIR, SLUICE_LISTEN, SLUICE_RELAY_NETWORKS, SLUICE_SMART_HOST,
// SLUICE_USERNAME, SLUICE_PASSWORD, SLUICE_ADMIN_LISTEN, SLUICE_ADMIN_TOKEN, and the names that the
// well-known Postfix images give to some of these (RELAYHOST, RELAYHOST_USERNAME,
// ALLOWED_SENDER_DOMAINS, POSTFIX_myhostname ...). Each may come as NAME_FILE instead, the path of
// a file that holds the value. Lists are separated by commas or spaces; an empty variable is one
// that is not set; two that set the same are a mistake. Mistakes name the variable.
LoadedConfig configFromEnvironment(const Surroundings& surroundings);

}  // namespace sluice::relay
