// Checks of [[send]], [[destination]] and [[dkim]].
#include <map>
#include <set>

#include "relay/config/checks.h"
#include "relay/config/file_checks.h"
#include "relay/config/tls_files.h"

namespace sluice::relay {
namespace {

void checkRoute(const SendConfig& send, const SectionCheck& section) {
  if (send.route == Route::SmartHost) {
    if (send.smart_hosts.empty()) {
      section.mistake(section.has("smart_hosts") ? "smart_hosts" : "route",
                      "route = \"smart-host\" needs smart_hosts");
    }
    if (send.limits.tls == SendTls::MtaSts) {
      section.mistake("tls", "\"mta-sts\" is for route = \"mx\": set \"verify\"");
    }
    if (send.port != SendConfig{}.port) {
      section.mistake("port", "is for route = \"mx\": write the port in smart_hosts");
    }
    return;
  }
  if (!send.smart_hosts.empty()) {
    section.mistake("smart_hosts", "conflict with route = \"mx\": set route = \"smart-host\"");
  }
  if (send.balance) section.mistake("balance", "needs route = \"smart-host\"");
}

// Tokens from an endpoint: who asks for them, and by what.
void checkOAuth(const SendConfig& send, const SectionCheck& section) {
  if (send.oauth_token_url.empty()) {
    if (section.places.isBroken("oauth_token_url")) return;
    const auto needed = [&](const char* key, const std::string& value) {
      if (!value.empty()) section.mistake(key, "needs an oauth_token_url");
    };
    needed("oauth_client_id", send.oauth_client_id);
    needed("oauth_client_secret_file", send.oauth_client_secret_file);
    needed("oauth_refresh_token_file", send.oauth_refresh_token_file);
    needed("oauth_scope", send.oauth_scope);
    needed("oauth_ca_file", send.oauth_ca_file);
    return;
  }
  if (send.username.empty()) section.mistake("oauth_token_url", "needs a username, the mailbox");
  if (send.oauth_client_id.empty()) section.mistake("oauth_token_url", "needs an oauth_client_id");
  if (send.oauth_client_secret_file.empty()) {
    section.mistake("oauth_token_url", "needs an oauth_client_secret_file");
  }
  if (!send.password.empty() || !send.password_file.empty()) {
    section.mistake(send.password_file.empty() ? "password" : "password_file",
                    "conflicts with oauth_token_url: the token is the password");
  }
  if (send.auth_mechanism != "auto" && send.auth_mechanism != "xoauth2" &&
      send.auth_mechanism != "oauthbearer") {
    section.mistake("auth_mechanism",
                    "\"" + send.auth_mechanism + "\" takes no tokens, see oauth_token_url");
  }
  if (section.places.isBroken("oauth_ca_file")) return;
  if (const auto trust = loadTrust(send.oauth_ca_file, "oauth_ca_file"); !trust.context) {
    section.mistake("oauth_ca_file", trust.why);
  }
}

void checkCredentials(const SendConfig& send, const SectionCheck& section) {
  const bool password = !send.password.empty() || !send.password_file.empty();
  if (!send.password.empty() && !send.password_file.empty()) {
    section.mistake("password", "conflicts with password_file: set one of them");
  }
  const bool tokens = !send.oauth_token_url.empty() || section.places.isBroken("oauth_token_url");
  if (!send.username.empty() && !password && !tokens) {
    section.mistake("username", "needs a password_file (or a password)");
  }
  if (send.username.empty() && password) {
    section.mistake(send.password_file.empty() ? "password" : "password_file", "needs a username");
  }
  if (send.username.empty() && send.auth_mechanism != "auto") {
    section.mistake("auth_mechanism", "is of no use without a username");
  }
  const bool sure_of_tls =
      send.limits.tls != SendTls::Off && send.limits.tls != SendTls::Opportunistic;
  if (!send.username.empty() && !sure_of_tls) {
    section.mistake("tls",
                    "credentials are not sent without TLS: set \"verify\" (or \"required\")");
  }
  if (!send.username.empty() && send.route == Route::Mx) {
    section.mistake("username", "is for smart hosts: set route = \"smart-host\"");
  }
}

void checkDane(SendTls tls, const Config& config, const SectionCheck& section) {
  if (tls == SendTls::Dane && !config.dns.trust_ad) {
    section.mistake("tls", "\"dane\" needs [dns] trust_ad = true and a validating name server");
  }
}

void checkAuthorities(const SendConfig& send, const Config& config, const SectionCheck& section) {
  if (section.places.isBroken("tls_ca_file")) return;
  const bool verifies = verifiesNames(config, send);
  if (!send.tls_ca_file.empty()) {
    const auto loaded = loadClientTls(send, verifies);
    if (!loaded.context) section.mistake(loaded.key, loaded.why);
  } else if (const auto why = whyUnusable(kSystemAuthorities, FileKind::Public); verifies && why) {
    section.mistake("tls",
                    "\"verify\" needs authorities: install ca-certificates or set "
                    "tls_ca_file (" +
                        *why + ")");
  }
}

// Connectors that no rule can choose between.
void checkAddressSpaces(const Config& config, const ConfigPlaces& places, Mistakes& mistakes) {
  std::map<std::pair<std::string, int>, std::string> owners;
  for (size_t i = 0; i < config.send.size(); ++i) {
    const SendConfig& send = config.send[i];
    for (const AddressSpace& space : send.address_spaces) {
      const auto [owner, first] = owners.try_emplace({space.domain, space.cost}, send.name);
      if (first || owner->second == send.name) continue;
      SectionCheck{places.send[i], mistakes, "[[send]]"}.mistake(
          "address_spaces", "\"" + space.domain + "\" overlaps with the one of \"" + owner->second +
                                "\": give one of them a higher cost");
    }
  }
}

}  // namespace

void checkSend(const Config& config, const ConfigPlaces& places, Mistakes& mistakes) {
  std::set<std::string> names;
  for (size_t i = 0; i < config.send.size(); ++i) {
    const SendConfig& send = config.send[i];
    const SectionCheck section{places.send[i], mistakes, "[[send]]"};
    if (!names.insert(send.name).second) {
      section.mistake("name", "\"" + send.name + "\" is the name of another [[send]]");
    }
    checkRoute(send, section);
    checkCredentials(send, section);
    checkOAuth(send, section);
    checkDane(send.limits.tls, config, section);
    checkAuthorities(send, config, section);
  }
  checkAddressSpaces(config, places, mistakes);
}

void checkDestinations(const Config& config, const ConfigPlaces& places, Mistakes& mistakes) {
  std::set<std::string> matches;
  for (size_t i = 0; i < config.destination.size(); ++i) {
    const DestinationConfig& destination = config.destination[i];
    const SectionCheck section{places.destination[i], mistakes, "[[destination]]"};
    if (!section.has("match")) section.mistake("match", "is missing");
    for (const std::string& match : destination.match) {
      if (matches.insert(match).second) continue;
      section.mistake("match", "\"" + match + "\" is in another [[destination]], too");
    }
    if (destination.tls) checkDane(*destination.tls, config, section);
  }
}

void checkDkim(const Config& config, const ConfigPlaces& places, Mistakes& mistakes) {
  std::set<std::pair<std::string, std::string>> known;
  for (size_t i = 0; i < config.dkim.size(); ++i) {
    const DkimConfig& dkim = config.dkim[i];
    const SectionCheck section{places.dkim[i], mistakes, "[[dkim]]"};
    if (!section.has("domain")) section.mistake("domain", "is missing");
    if (!section.has("selector")) section.mistake("selector", "is missing");
    if (dkim.key.empty()) section.mistake("key", "is missing");
    if (!known.insert({dkim.domain, dkim.selector}).second && !dkim.domain.empty()) {
      section.mistake("selector", "\"" + dkim.selector + "\" is there twice for this domain");
    }
  }
}

}  // namespace sluice::relay
