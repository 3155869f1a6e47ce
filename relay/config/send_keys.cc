// Keys of [[send]], [[destination]] and [[dkim]].
#include "relay/config/config_keys.h"
#include "relay/config/config_names.h"
#include "relay/config/key_types.h"

namespace sluice::relay {
namespace {

using namespace std::chrono_literals;

constexpr std::array<Choice<SendTls>, 6> kTls{{{"off", SendTls::Off},
                                               {"opportunistic", SendTls::Opportunistic},
                                               {"required", SendTls::Required},
                                               {"verify", SendTls::Verify},
                                               {"dane", SendTls::Dane},
                                               {"mta-sts", SendTls::MtaSts}}};
constexpr std::array<Choice<Route>, 2> kRoutes{
    {{"mx", Route::Mx}, {"smart-host", Route::SmartHost}}};
constexpr std::array<std::string_view, 6> kAuthMechanisms{
    "auto", "plain", "login", "scram-sha-256", "xoauth2", "oauthbearer"};
constexpr Range<milliseconds> kTimeouts{10ms, 1h};
constexpr int64_t kMany = 1'000'000;

// What a connector sets and a destination may set otherwise.
template <class T>
Keys<T> limitKeys() {
  return {
      choice("tls", &T::tls, kTls),
      integer("max_connections", &T::max_connections, {1, 100'000}),
      integer("max_messages_per_connection", &T::max_messages_per_connection, {1, kMany}),
      integer("max_recipients_per_transaction", &T::max_recipients_per_transaction, {1, 50'000}),
      rate("rate", &T::rate),
      duration("connect_timeout", &T::connect_timeout, kTimeouts),
      duration("command_timeout", &T::command_timeout, kTimeouts),
      duration("final_reply_timeout", &T::final_reply_timeout, kTimeouts),
      duration("idle_timeout", &T::idle_timeout, {0s, 1h}),
      duration("host_backoff", &T::host_backoff, {0s, 24h}),
  };
}

template <class T>
Keys<T> required(Keys<T> keys) {
  for (Key<T>& key : keys) key.default_words = "required";
  return keys;
}

Keys<SendConfig> connectorLimits() {
  auto keys = lift(limitKeys<DeliveryLimits>(), &SendConfig::limits);
  for (Key<SendConfig>& key : keys) {
    if (key.name == "tls")
      key.default_words = "`\"opportunistic\"`; `\"verify\"` with a `username`";
  }
  return keys;
}

// { domain = "*", cost = 10 }
std::optional<AddressSpace> readCostedSpace(const ConfigValue& value, Reading& reading) {
  static const Keys<AddressSpace> keys{
      name("domain", "address space", &AddressSpace::domain, Empty::Refused, parseAddressSpace),
      integer("cost", &AddressSpace::cost, {1, 1000}),
  };
  AddressSpace space;
  Reading inside{reading.surroundings, reading.mistakes, reading.section + " " + reading.key, ""};
  const auto places = readKeys(keys, {}, value, space, inside);
  if (!places.has("domain")) reading.mistake(value.place, "lacks a domain");
  if (space.domain.empty()) return std::nullopt;
  return space;
}

std::optional<AddressSpace> readSpace(const ConfigValue& value, Reading& reading) {
  if (value.kind == ConfigValue::Kind::Table) return readCostedSpace(value, reading);
  const auto written = readText(value, Empty::Refused, reading);
  if (!written) return std::nullopt;
  const auto domain = orMistake(parseAddressSpace(*written), value.place, reading);
  return domain ? std::optional(AddressSpace{*domain, 1}) : std::nullopt;
}

void readSpaces(const ConfigValue& value, SendConfig& send, Reading& reading) {
  send.address_spaces.clear();
  if (!isKind(ConfigValue::Kind::Array, value, reading)) return;
  if (value.items.empty()) reading.mistake(value.place, "must not be empty");
  for (const ConfigValue& each : value.items) {
    auto space = readSpace(each, reading);
    if (!space) continue;
    for (const auto& other : send.address_spaces) {
      if (other.domain == space->domain) {
        reading.mistake(each.place, "\"" + space->domain + "\" is there twice");
      }
    }
    send.address_spaces.push_back(std::move(*space));
  }
}

std::string printSpaces(const SendConfig& send) {
  std::string out;
  for (const auto& space : send.address_spaces) {
    const std::string domain = quoteToml(space.domain);
    out += (out.empty() ? "[" : ", ") +
           (space.cost == 1
                ? domain
                : "{ domain = " + domain + ", cost = " + std::to_string(space.cost) + " }");
  }
  return out + "]";
}

Key<SendConfig> password() {
  Key<SendConfig> key = text("password", &SendConfig::password, Empty::Allowed);
  key.print = [](const SendConfig& send) {
    const bool hidden = !send.password.empty() && send.password_file.empty();
    return quoteToml(hidden ? kHiddenSecret : "");
  };
  return key;
}

Key<SendConfig> authMechanism() {
  return makeKey(
      "auth_mechanism", "choice", &SendConfig::auth_mechanism,
      [](const ConfigValue& value, Reading& reading) -> std::optional<std::string> {
        auto word = readText(value, Empty::Refused, reading);
        if (!word || std::count(kAuthMechanisms.begin(), kAuthMechanisms.end(), *word) > 0) {
          return word;
        }
        reading.mistake(value.place,
                        "\"" + *word + "\" is not known" + suggestion(*word, kAuthMechanisms));
        return std::nullopt;
      },
      [](const std::string& word) { return quoteToml(word); });
}

Key<SendConfig> connectorName() {
  auto key = name("name", "name", &SendConfig::name, Empty::Refused, parseConnectorName);
  key.default_words = "`send`, `send-2` … by order";
  return key;
}

Keys<SendConfig> ways() {
  return {
      connectorName(),
      {"address_spaces", "list of address spaces", readSpaces, printSpaces},
      choice("route", &SendConfig::route, kRoutes),
      list<SendConfig, SmartHost>("smart_hosts", "list of smart hosts", &SendConfig::smart_hosts,
                                  Empty::Allowed, parseSmartHost, formatSmartHost),
      boolean("balance", &SendConfig::balance),
      integer("port", &SendConfig::port, {1, 65535}),
  };
}

Keys<SendConfig> rest() {
  return {
      file("tls_ca_file", &SendConfig::tls_ca_file, FileKind::Public),
      text("username", &SendConfig::username, Empty::Allowed),
      file("password_file", &SendConfig::password_file, FileKind::Secret),
      password(),
      authMechanism(),
      name("oauth_token_url", "https URL", &SendConfig::oauth_token_url, Empty::Allowed,
           parseHttpsUrl),
      text("oauth_client_id", &SendConfig::oauth_client_id, Empty::Allowed),
      file("oauth_client_secret_file", &SendConfig::oauth_client_secret_file, FileKind::Secret),
      file("oauth_refresh_token_file", &SendConfig::oauth_refresh_token_file, FileKind::Secret),
      text("oauth_scope", &SendConfig::oauth_scope, Empty::Allowed),
      file("oauth_ca_file", &SendConfig::oauth_ca_file, FileKind::Public),
      list<SendConfig, IpAddress>("source_addresses", "list of IP addresses",
                                  &SendConfig::source_addresses, Empty::Allowed, IpAddress::parse,
                                  [](const IpAddress& address) { return address.toString(); }),
      name("helo", "host name", &SendConfig::helo, Empty::Allowed, parseHelo),
      networks("allow_private_hosts", &SendConfig::allow_private_hosts),
  };
}

}  // namespace

const Keys<SendConfig>& sendKeys() {
  static const Keys<SendConfig> keys = ways() + connectorLimits() + rest();
  return keys;
}

const Keys<DestinationConfig>& destinationKeys() {
  static const Keys<DestinationConfig> keys =
      required(Keys<DestinationConfig>{list<DestinationConfig, std::string>(
          "match", "list of destinations", &DestinationConfig::match, Empty::Refused,
          parseDestinationMatch, [](const std::string& match) { return match; })}) +
      limitKeys<DestinationConfig>();
  return keys;
}

const Keys<DkimConfig>& dkimKeys() {
  static const Keys<DkimConfig> keys = required(Keys<DkimConfig>{
      name("domain", "host name", &DkimConfig::domain, Empty::Refused, parseHostName),
      name("selector", "selector", &DkimConfig::selector, Empty::Refused, parseSelector),
      file("key", &DkimConfig::key, FileKind::Secret),
  });
  return keys;
}

}  // namespace sluice::relay
