// Checks of [[receive]]: addresses that collide, TLS and AUTH that lack their half, open relays.
#include <algorithm>
#include <array>
#include <set>

#include "relay/config/checks.h"
#include "relay/config/open_relay.h"
#include "relay/config/tls_files.h"

namespace sluice::relay {
namespace {

bool isUnspecified(const IpAddress& address) {
  static const IpAddress kAnyV4;
  static const IpAddress kAnyV6 = IpAddress::v6({});
  return address == kAnyV4 || address == kAnyV6;
}

// Whether one address takes connections that are meant for the other, too.
bool overlap(const Endpoint& a, const Endpoint& b) {
  if (a.port != b.port || a.port == 0 || a.address.isV4() != b.address.isV4()) return false;
  return a.address == b.address || isUnspecified(a.address) || isUnspecified(b.address);
}

void checkOverlap(const Config& config, const ConfigPlaces& places, Mistakes& mistakes) {
  struct Taken {
    Endpoint endpoint;
    std::string name;
  };
  std::vector<Taken> taken;
  for (size_t i = 0; i < config.receive.size(); ++i) {
    const SectionCheck section{places.receive[i], mistakes, "[[receive]]"};
    for (const Endpoint& endpoint : config.receive[i].listen) {
      for (const Taken& other : taken) {
        if (!overlap(endpoint, other.endpoint)) continue;
        section.mistake("listen", endpoint.toString() + " overlaps with " +
                                      other.endpoint.toString() + " of \"" + other.name + "\"");
        break;
      }
      taken.push_back({endpoint, config.receive[i].name});
    }
  }
  for (const Taken& other : taken) {
    if (!overlap(config.admin.listen, other.endpoint)) continue;
    SectionCheck{places.admin, mistakes, "[admin]"}.mistake(
        "listen", config.admin.listen.toString() + " overlaps with " + other.endpoint.toString() +
                      " of [[receive]] \"" + other.name + "\"");
  }
}

void checkTls(const ReceiveConfig& receive, const SectionCheck& section) {
  const bool certificate = !receive.tls_certificate.empty();
  const bool key = !receive.tls_key.empty();
  if (certificate && !key) section.mistake("tls_certificate", "needs its tls_key");
  if (key && !certificate) section.mistake("tls_key", "needs its tls_certificate");
  const bool demanded =
      receive.tls == ReceiveTls::StartTlsRequired || receive.tls == ReceiveTls::Implicit;
  if (demanded && !certificate && !key) {
    section.mistake("tls", "needs tls_certificate and tls_key");
  }
  if (receive.tls == ReceiveTls::Off && certificate) {
    section.mistake("tls_certificate", "is of no use with tls = \"off\"");
  }
  if (!receive.tls_client_ca.empty() && (!certificate || receive.tls == ReceiveTls::Off)) {
    section.mistake("tls_client_ca", "needs TLS: set tls_certificate and tls_key");
  }
  if (!receive.tls_client_fingerprints.empty() &&
      (!certificate || receive.tls == ReceiveTls::Off)) {
    section.mistake("tls_client_fingerprints", "needs TLS: set tls_certificate and tls_key");
  }
  if (certificate && key && receive.tls_certificate.size() != receive.tls_key.size()) {
    return section.mistake("tls_key", "needs one key for each tls_certificate, in their order");
  }
  for (const char* name : {"tls_certificate", "tls_key", "tls_client_ca"}) {
    if (section.places.isBroken(name)) return;  // a file that cannot be read
  }
  const auto loaded = loadServerTls(receive, std::make_shared<net::TicketKeys>());
  if (!loaded.context && !loaded.key.empty()) section.mistake(loaded.key, loaded.why);
}

void checkAuth(const ReceiveConfig& receive, const SectionCheck& section) {
  const bool users = !receive.users_file.empty();
  if (receive.auth == ReceiveAuth::Required && !users) {
    section.mistake("auth", "\"required\" needs a users_file");
  }
  if (receive.auth == ReceiveAuth::Off && users) {
    section.mistake("users_file", "is of no use with auth = \"off\"");
  }
  if (receive.auth == ReceiveAuth::Off && receive.auth_plaintext) {
    section.mistake("auth_plaintext", "is of no use with auth = \"off\"");
  }
  const bool tls = receive.tls != ReceiveTls::Off && !receive.tls_certificate.empty();
  if (users && !tls && !receive.auth_plaintext) {
    section.mistake("users_file",
                    "AUTH is only offered under TLS: set tls_certificate and tls_key (or "
                    "auth_plaintext = true, which lets passwords travel in clear)");
  }
  if (users && receive.auth_mechanisms.empty()) {
    section.mistake("auth_mechanisms", "must not be empty with a users_file");
  }
}

void checkOpenRelay(const ReceiveConfig& receive, const SectionCheck& section) {
  if (receive.open_relay || receive.auth == ReceiveAuth::Required) return;
  // Behind a PROXY header or XCLIENT the client is not the one who connects.
  const bool only_loopback =
      receive.proxy_protocol_networks.empty() && receive.xclient_networks.empty() &&
      std::all_of(receive.listen.begin(), receive.listen.end(),
                  [](const Endpoint& endpoint) { return endpoint.address.isLoopback(); });
  if (only_loopback || !arePublic(receive.relay_networks)) return;
  section.mistake("relay_networks",
                  "let anyone on the Internet relay: an open relay. List your own networks (or "
                  "say open_relay = true)");
}

}  // namespace

void checkReceive(const Config& config, const ConfigPlaces& places, Mistakes& mistakes) {
  std::set<std::string> names;
  for (size_t i = 0; i < config.receive.size(); ++i) {
    const ReceiveConfig& receive = config.receive[i];
    const SectionCheck section{places.receive[i], mistakes, "[[receive]]"};
    if (!names.insert(receive.name).second) {
      section.mistake("name", "\"" + receive.name + "\" is the name of another [[receive]]");
    }
    checkTls(receive, section);
    checkAuth(receive, section);
    checkOpenRelay(receive, section);
  }
  checkOverlap(config, places, mistakes);
}

}  // namespace sluice::relay
