#include "relay/config/config_reader.h"

#include <unistd.h>

#include <algorithm>
#include <set>

#include "relay/config/checks.h"
#include "relay/config/config_keys.h"
#include "relay/config/dkim_key_file.h"
#include "relay/config/document.h"
#include "relay/config/environment.h"
#include "relay/config/file_checks.h"
#include "relay/config/users_file.h"
#include "relay/config/value_readers.h"

namespace sluice::relay {
namespace {

constexpr const char* kDefaultFile = "/etc/sluice/sluice.toml";
constexpr size_t kMaxFileBytes = (1 << 20) + 1;  // document.h refuses what is over 1 MiB
constexpr uint64_t kMemoryWhenUnknown = 1ull << 30;

// From the document to the structs, before defaults and checks.
class Reader {
 public:
  Reader(const Surroundings& surroundings, Mistakes& mistakes)
      : surroundings_(surroundings), mistakes_(mistakes) {}

  void read(const ConfigValue& root, Config& config, ConfigPlaces& places) {
    Reading reading{surroundings_, mistakes_, "", ""};
    places.top = readKeys(topKeys(), sectionNames(), root, config, reading);
    places.dns = one(root, "dns", dnsKeys(), config);
    places.queue = one(root, "queue", queueKeys(), config);
    one(root, "tracking", trackingKeys(), config);
    places.tls_report = one(root, "tls_report", tlsReportKeys(), config);
    places.admin = one(root, "admin", adminKeys(), config);
    places.log = one(root, "log", logKeys(), config);
    places.process = one(root, "process", processKeys(), config);
    places.receive = several(root, "receive", receiveKeys(), config.receive);
    places.send = several(root, "send", sendKeys(), config.send);
    places.destination = several(root, "destination", destinationKeys(), config.destination);
    places.dkim = several(root, "dkim", dkimKeys(), config.dkim);
  }

 private:
  SectionPlaces one(const ConfigValue& root, std::string_view name, const Keys<Config>& keys,
                    Config& config) {
    const ConfigMember* member = root.find(name);
    if (member == nullptr) return {};
    const std::string title = "[" + std::string(name) + "]";
    if (member->value.kind != ConfigValue::Kind::Table) {
      mistakes_.add(member->place, std::string(name) + ": there is one: write " + title);
      return {};
    }
    Reading reading{surroundings_, mistakes_, title, ""};
    return readKeys(keys, {}, member->value, config, reading);
  }

  template <class T>
  std::vector<SectionPlaces> several(const ConfigValue& root, std::string_view name,
                                     const Keys<T>& keys, std::vector<T>& out) {
    std::vector<SectionPlaces> places;
    const ConfigMember* member = root.find(name);
    if (member == nullptr) return places;
    const std::string title = "[[" + std::string(name) + "]]";
    const auto& items = member->value.items;
    const bool tables = member->value.kind == ConfigValue::Kind::Array &&
                        std::all_of(items.begin(), items.end(), [](const ConfigValue& item) {
                          return item.kind == ConfigValue::Kind::Table;
                        });
    if (!tables) {
      mistakes_.add(member->place, std::string(name) + ": there may be several: write " + title);
      return places;
    }
    for (const ConfigValue& item : items) {
      Reading reading{surroundings_, mistakes_, title, ""};
      places.push_back(readKeys(keys, {}, item, out.emplace_back(), reading));
    }
    return places;
  }

  const Surroundings& surroundings_;
  Mistakes& mistakes_;
};

std::vector<Endpoint> defaultListen(bool ipv6) {
  std::vector<Endpoint> listen{*Endpoint::parse("127.0.0.1:2525")};
  if (ipv6) listen.push_back(*Endpoint::parse("[::1]:2525"));
  return listen;
}

void fillReceive(const Surroundings& surroundings, Config& config, ConfigPlaces& places) {
  if (config.receive.empty()) {
    config.receive.emplace_back().name = "local";
    places.receive.emplace_back();
  }
  for (size_t i = 0; i < config.receive.size(); ++i) {
    ReceiveConfig& receive = config.receive[i];
    if (receive.name.empty()) {
      receive.name = i == 0 ? "receive" : "receive-" + std::to_string(i + 1);
    }
    if (!places.receive[i].has("listen"))
      receive.listen = defaultListen(surroundings.ipv6_loopback);
    if (!places.receive[i].has("relay_networks")) {
      receive.relay_networks = {*IpNetwork::parse("127.0.0.0/8"), *IpNetwork::parse("::1/128")};
    }
  }
}

void fillSend(Config& config, ConfigPlaces& places) {
  if (config.send.empty()) {
    config.send.emplace_back().name = "internet";
    places.send.emplace_back();
  }
  for (size_t i = 0; i < config.send.size(); ++i) {
    SendConfig& send = config.send[i];
    if (send.name.empty()) send.name = i == 0 ? "send" : "send-" + std::to_string(i + 1);
    if (!places.send[i].has("address_spaces")) send.address_spaces = {{"*", 1}};
    // Nobody who pretends to be the smart host gets our password.
    if (!places.send[i].has("tls") && !send.username.empty()) send.limits.tls = SendTls::Verify;
  }
}

// Every default that depends on something.
void fillTlsReport(TlsReportConfig& report) {
  if (report.from.empty()) return;
  if (report.organization.empty()) {
    report.organization = report.from.substr(report.from.rfind('@') + 1);
  }
  if (report.contact.empty()) report.contact = report.from;
}

void fillDefaults(const Surroundings& surroundings, Config& config, ConfigPlaces& places) {
  if (config.hostname.empty()) config.hostname = surroundings.hostname;
  if (config.postmaster.empty()) config.postmaster = "postmaster@" + config.hostname;
  fillReceive(surroundings, config, places);
  fillSend(config, places);
  fillTlsReport(config.tls_report);
  config.queue.retry_max = std::max(config.queue.retry_max, config.queue.retry_first);
  if (config.queue.memory_percent > 0) {
    const uint64_t whole =
        surroundings.memory_bytes == 0 ? kMemoryWhenUnknown : surroundings.memory_bytes;
    config.queue.memory = whole / 100 * static_cast<uint64_t>(config.queue.memory_percent);
  }
}

void readSecretInto(std::string& secret, const std::string& path, const SectionCheck& section,
                    const std::string& key) {
  if (path.empty() || whyUnusable(path, FileKind::Secret)) return;  // reported with the key
  auto read = readSecret(path);
  if (!read) return section.mistake(key, read.error().detail);
  secret = std::move(*read);
}

void readDkimKey(DkimConfig& dkim, const SectionCheck& section) {
  if (dkim.key.empty() || whyUnusable(dkim.key, FileKind::Secret)) return;  // reported with the key
  auto key = loadDkimKey(dkim.key);
  if (!key) return section.mistake("key", key.error().detail);
  dkim.private_key = std::move(*key);
}

void readSecrets(Config& config, const ConfigPlaces& places, Mistakes& mistakes) {
  readSecretInto(config.admin.token, config.admin.token_file, {places.admin, mistakes, "[admin]"},
                 "token_file");
  if (config.admin.token.find(' ') != std::string::npos) {  // it is one word of a header field
    SectionCheck{places.admin, mistakes, "[admin]"}.mistake(
        config.admin.token_file.empty() ? "token" : "token_file", "the token holds a space");
  }
  for (size_t i = 0; i < config.send.size(); ++i) {
    readSecretInto(config.send[i].password, config.send[i].password_file,
                   {places.send[i], mistakes, "[[send]]"}, "password_file");
    readSecretInto(config.send[i].oauth_client_secret, config.send[i].oauth_client_secret_file,
                   {places.send[i], mistakes, "[[send]]"}, "oauth_client_secret_file");
    readSecretInto(config.send[i].oauth_refresh_token, config.send[i].oauth_refresh_token_file,
                   {places.send[i], mistakes, "[[send]]"}, "oauth_refresh_token_file");
  }
  for (size_t i = 0; i < config.dkim.size(); ++i) {
    readDkimKey(config.dkim[i], {places.dkim[i], mistakes, "[[dkim]]"});
  }
}

// Mistakes in users files, which are files of their own. What makes one unusable as a whole has
// been reported with its key.
void checkUsers(const Config& config, std::vector<ConfigMistake>& mistakes) {
  std::set<std::string> seen;
  for (const ReceiveConfig& receive : config.receive) {
    const std::string& path = receive.users_file;
    if (path.empty() || !seen.insert(path).second) continue;
    if (whyUnusable(path, FileKind::Secret)) continue;
    for (ConfigMistake& mistake : readUsers(path).mistakes) mistakes.push_back(std::move(mistake));
  }
}

void checkAll(const Config& config, const ConfigPlaces& places, Mistakes& mistakes) {
  checkRelay(config, places, mistakes);
  checkReceive(config, places, mistakes);
  checkSend(config, places, mistakes);
  checkDestinations(config, places, mistakes);
  checkDkim(config, places, mistakes);
}

bool exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

}  // namespace

LoadedConfig parseConfig(std::string_view text, const std::string& file_name,
                         const Surroundings& surroundings) {
  LoadedConfig loaded;
  loaded.from_file = true;
  loaded.file = file_name;
  loaded.config.admin.listen = *Endpoint::parse("127.0.0.1:8025");
  Mistakes mistakes(file_name);
  ConfigPlaces places;
  if (const auto root = parseDocument(text, surroundings, mistakes)) {
    Reader(surroundings, mistakes).read(*root, loaded.config, places);
    fillDefaults(surroundings, loaded.config, places);
    checkAll(loaded.config, places, mistakes);
    readSecrets(loaded.config, places, mistakes);
  }
  loaded.mistakes = mistakes.take();
  checkUsers(loaded.config, loaded.mistakes);
  return loaded;
}

LoadedConfig readConfig(const std::string& path, const Surroundings& surroundings) {
  const auto text = readWholeFile(path, kMaxFileBytes);
  if (text) return parseConfig(*text, path, surroundings);
  LoadedConfig loaded;
  loaded.from_file = true;
  loaded.file = path;
  loaded.mistakes.push_back({path, 0, 0, text.error().detail});
  return loaded;
}

LoadedConfig loadConfig(const std::string& config_path) {
  const Surroundings surroundings = Surroundings::ofProcess();
  if (!config_path.empty()) return readConfig(config_path, surroundings);
  const auto variable = surroundings.variable("SLUICE_CONFIG");
  if (variable && !variable->empty()) return readConfig(*variable, surroundings);
  if (exists(kDefaultFile)) return readConfig(kDefaultFile, surroundings);
  return configFromEnvironment(surroundings);
}

}  // namespace sluice::relay
