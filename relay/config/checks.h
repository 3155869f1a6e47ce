// What no single key shows: conflicts, overlaps, things that demand one another, open relays.
#pragma once

#include <string>
#include <vector>

#include "relay/config/config.h"
#include "relay/config/key_table.h"

namespace sluice::relay {

// The places of everything in a Config; lists are parallel to the Config's.
struct ConfigPlaces {
  SectionPlaces top, dns, queue, tls_report, admin, log, process;
  std::vector<SectionPlaces> receive, send, destination, dkim;
};

// One section under check.
struct SectionCheck {
  const SectionPlaces& places;
  Mistakes& mistakes;
  std::string section;  // "[[receive]]"

  bool has(const std::string& key) const { return places.has(key); }
  // Reports at the key, or at the section where the key is not set; a key whose value could not be
  // read has been reported already.
  void mistake(const std::string& key, const std::string& message) const {
    if (places.isBroken(key)) return;
    mistakes.add(places.of(key), (section.empty() ? "" : section + " ") + key + ": " + message);
  }
};

// `config` is complete, its defaults resolved, but for the content of secret files.
void checkRelay(const Config& config, const ConfigPlaces& places, Mistakes& mistakes);
void checkReceive(const Config& config, const ConfigPlaces& places, Mistakes& mistakes);
void checkSend(const Config& config, const ConfigPlaces& places, Mistakes& mistakes);
void checkDestinations(const Config& config, const ConfigPlaces& places, Mistakes& mistakes);
void checkDkim(const Config& config, const ConfigPlaces& places, Mistakes& mistakes);

}  // namespace sluice::relay
