// Keys of [[receive]].
#include "relay/config/config_keys.h"
#include "relay/config/config_names.h"
#include "relay/config/key_types.h"

namespace sluice::relay {
namespace {

using namespace std::chrono_literals;

constexpr std::array<Choice<ReceiveTls>, 4> kTls{
    {{"off", ReceiveTls::Off},
     {"starttls", ReceiveTls::StartTls},
     {"starttls-required", ReceiveTls::StartTlsRequired},
     {"implicit", ReceiveTls::Implicit}}};
constexpr std::array<Choice<ReceiveAuth>, 3> kAuth{{{"off", ReceiveAuth::Off},
                                                    {"optional", ReceiveAuth::Optional},
                                                    {"required", ReceiveAuth::Required}}};
constexpr std::array<Choice<BareNewline>, 2> kBareNewline{
    {{"normalize", BareNewline::Normalize}, {"reject", BareNewline::Reject}}};
constexpr std::array<std::string_view, 4> kAuthMechanisms{"plain", "login", "scram-sha-256",
                                                          "scram-sha-256-plus"};

constexpr Range<milliseconds> kTimeouts{10ms, 1h};
constexpr int64_t kMany = 1'000'000;

// { failures = 10, window = "10m", time = "15m" }, of which any may be left out.
Key<ReceiveConfig> authLockout() {
  static const Keys<AuthLockout> keys{
      integer("failures", &AuthLockout::failures, {1, kMany}),
      duration("window", &AuthLockout::window, {1s, 24h * 7}),
      duration("time", &AuthLockout::time, {0s, 24h * 7}),
  };
  return {"auth_lockout", "table",
          [](const ConfigValue& value, ReceiveConfig& receive, Reading& reading) {
            if (!isKind(ConfigValue::Kind::Table, value, reading)) return;
            Reading inside{reading.surroundings, reading.mistakes,
                           reading.section + " " + reading.key, ""};
            readKeys(keys, {}, value, receive.auth_lockout, inside);
          },
          [](const ReceiveConfig& receive) {
            std::string out;
            for (const auto& key : keys) {
              out += (out.empty() ? "{ " : ", ") + std::string(key.name) + " = " +
                     key.print(receive.auth_lockout);
            }
            return out + " }";
          }};
}

Key<ReceiveConfig> connectorName() {
  auto key = name("name", "name", &ReceiveConfig::name, Empty::Refused, parseConnectorName);
  key.default_words = "`receive`, `receive-2` … by order";
  return key;
}

Keys<ReceiveConfig> who() {
  return {
      networks("relay_networks", &ReceiveConfig::relay_networks),
      list<ReceiveConfig, std::string>(
          "sender_domains", "list of domains", &ReceiveConfig::sender_domains, Empty::Allowed,
          parseAddressSpace, [](const std::string& domain) { return domain; }),
      choice("tls", &ReceiveConfig::tls, kTls),
      files("tls_certificate", &ReceiveConfig::tls_certificate, FileKind::Public),
      files("tls_key", &ReceiveConfig::tls_key, FileKind::Secret),
      file("tls_client_ca", &ReceiveConfig::tls_client_ca, FileKind::Public),
      list<ReceiveConfig, std::string>("tls_client_fingerprints", "list of fingerprints",
                                       &ReceiveConfig::tls_client_fingerprints, Empty::Allowed,
                                       parseFingerprint,
                                       [](const std::string& one) { return one; }),
      choice("auth", &ReceiveConfig::auth, kAuth),
      boolean("auth_plaintext", &ReceiveConfig::auth_plaintext),
      file("users_file", &ReceiveConfig::users_file, FileKind::Secret),
      words("auth_mechanisms", &ReceiveConfig::auth_mechanisms, kAuthMechanisms),
      duration("auth_failure_delay", &ReceiveConfig::auth_failure_delay, {0s, 1min}),
      authLockout(),
      boolean("open_relay", &ReceiveConfig::open_relay),
  };
}

Keys<ReceiveConfig> limits() {
  return {
      size("max_message_size", &ReceiveConfig::max_message_size, {1024, 2ull << 30}),
      integer("max_recipients", &ReceiveConfig::max_recipients, {1, 50'000}),
      integer("max_connections", &ReceiveConfig::max_connections, {1, kMany}),
      integer("max_connections_per_client", &ReceiveConfig::max_connections_per_client, {0, kMany}),
      duration("command_timeout", &ReceiveConfig::command_timeout, kTimeouts),
      duration("data_timeout", &ReceiveConfig::data_timeout, {10ms, 24h}),
      integer("max_errors", &ReceiveConfig::max_errors, {1, 100'000}),
      duration("error_delay", &ReceiveConfig::error_delay, {0s, 30s}),
      choice("bare_newline", &ReceiveConfig::bare_newline, kBareNewline),
      integer("max_received", &ReceiveConfig::max_received, {1, 1000}),
      networks("proxy_protocol_networks", &ReceiveConfig::proxy_protocol_networks),
      networks("xclient_networks", &ReceiveConfig::xclient_networks),
      boolean("add_missing_headers", &ReceiveConfig::add_missing_headers),
  };
}

}  // namespace

const Keys<ReceiveConfig>& receiveKeys() {
  static const Keys<ReceiveConfig> keys =
      atRestart(Keys<ReceiveConfig>{connectorName()}) +
      Keys<ReceiveConfig>{endpoints("listen", &ReceiveConfig::listen, Empty::Refused)} + who() +
      limits();
  return keys;
}

}  // namespace sluice::relay
