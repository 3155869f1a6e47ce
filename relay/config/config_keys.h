// The tables of keys, a section each. What is not in them is not in the configuration.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "relay/config/config.h"
#include "relay/config/key_table.h"

namespace sluice::relay {

const Keys<Config>& topKeys();
const Keys<Config>& dnsKeys();
const Keys<Config>& queueKeys();
const Keys<Config>& trackingKeys();
const Keys<Config>& tlsReportKeys();
const Keys<Config>& adminKeys();
const Keys<Config>& logKeys();
const Keys<Config>& processKeys();
const Keys<ReceiveConfig>& receiveKeys();
const Keys<SendConfig>& sendKeys();
const Keys<DestinationConfig>& destinationKeys();
const Keys<DkimConfig>& dkimKeys();

// Names of the sections as they stand in the root table.
const std::vector<std::string_view>& sectionNames();

// What a secret is printed as.
inline constexpr std::string_view kHiddenSecret = "********";

}  // namespace sluice::relay
