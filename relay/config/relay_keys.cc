// Keys of the relay itself: the top of the file, [dns], [queue], [tracking], [tls_report], [admin],
// [log], [process].
#include <fmt/format.h>

#include <algorithm>

#include "relay/config/config_keys.h"
#include "relay/config/config_names.h"
#include "relay/config/key_types.h"

namespace sluice::relay {
namespace {

using namespace std::chrono_literals;

constexpr Range<milliseconds> kQueueTimes{10ms, 24h * 365};
constexpr Range<uint64_t> kMemoryBytes{1ull << 16, 1ull << 44};
constexpr std::array<std::string_view, 4> kLogLevels{"debug", "info", "warn", "error"};
constexpr std::array<std::string_view, 2> kLogFormats{"json", "text"};

// One of a few words, kept as a string.
Key<LogConfig> word(std::string_view name, std::string LogConfig::*member,
                    std::span<const std::string_view> allowed) {
  return makeKey(
      name, "choice", member,
      [allowed](const ConfigValue& value, Reading& reading) -> std::optional<std::string> {
        auto got = readText(value, Empty::Refused, reading);
        if (!got || std::find(allowed.begin(), allowed.end(), *got) != allowed.end()) return got;
        reading.mistake(value.place,
                        fmt::format("\"{}\" is none of \"{}\"{}", *got,
                                    fmt::join(allowed, "\", \""), suggestion(*got, allowed)));
        return std::nullopt;
      },
      [](const std::string& value) { return quoteToml(value); });
}

// A share of the memory that we may use, or a size.
void readMemory(const ConfigValue& value, QueueConfig& queue, Reading& reading) {
  if (value.kind != ConfigValue::Kind::String || !value.text.ends_with('%')) {
    if (const auto bytes = readSize(value, kMemoryBytes, reading)) {
      queue.memory = *bytes;
      queue.memory_percent = 0;
    }
  } else if (const auto percent = orMistake(parsePercentage(value.text), value.place, reading)) {
    queue.memory_percent = *percent;
  }
}

std::string printMemory(const QueueConfig& queue) {
  if (queue.memory_percent == 0) return quoteToml(formatSize(queue.memory));
  return quoteToml(std::to_string(queue.memory_percent) + "%");
}

void readAdminListen(const ConfigValue& value, AdminConfig& admin, Reading& reading) {
  const auto written = readText(value, Empty::Refused, reading);
  if (!written) return;
  if (const auto endpoint = orMistake(parseEndpoint(*written), value.place, reading)) {
    admin.listen = *endpoint;
  }
}

Key<AdminConfig> adminToken() {
  Key<AdminConfig> key = text("token", &AdminConfig::token, Empty::Allowed);
  key.print = [](const AdminConfig& admin) {
    const bool hidden = !admin.token.empty() && admin.token_file.empty();
    return quoteToml(hidden ? kHiddenSecret : "");
  };
  return key;
}

template <class T>
Key<T> described(Key<T> key, std::string_view default_words) {
  key.default_words = default_words;
  return key;
}

}  // namespace

const Keys<Config>& topKeys() {
  static const Keys<Config> keys{
      described(name("hostname", "host name", &Config::hostname, Empty::Refused, parseHostName),
                "the machine's name"),
      atRestart(Keys<Config>{text("data_dir", &Config::data_dir, Empty::Refused)}).front(),
      atRestart(Keys<Config>{integer("shards", &Config::shards, {0, 256})}).front(),
      described(
          name("postmaster", "mail address", &Config::postmaster, Empty::Refused, parseMailbox),
          "postmaster@ and `hostname`"),
  };
  return keys;
}

const Keys<Config>& dnsKeys() {
  static const Keys<Config> keys = atRestart(lift(
      Keys<DnsConfig>{
          endpoints("servers", &DnsConfig::servers, Empty::Allowed),
          duration("timeout", &DnsConfig::timeout, {50ms, 60s}),
          integer("attempts", &DnsConfig::attempts, {1, 10}),
          boolean("trust_ad", &DnsConfig::trust_ad),
      },
      &Config::dns));
  return keys;
}

const Keys<Config>& queueKeys() {
  static const Keys<Config> keys = lift(
      Keys<QueueConfig>{
          duration("retry_first", &QueueConfig::retry_first, kQueueTimes),
          number("retry_factor", &QueueConfig::retry_factor, {1, 100}),
          duration("retry_max", &QueueConfig::retry_max, kQueueTimes),
          number("retry_jitter", &QueueConfig::retry_jitter, {0, 0.9}),
          duration("lifetime", &QueueConfig::lifetime, kQueueTimes),
          duration("delay_notice", &QueueConfig::delay_notice, {0s, kQueueTimes.most}),
          {"memory", "size or percentage", readMemory, printMemory, Apply::Restart},
      } + atRestart(Keys<QueueConfig>{
              size("database_memory", &QueueConfig::database_memory, {1ull << 20, 1ull << 44}),
              size("disk_reserve", &QueueConfig::disk_reserve, {0, 1ull << 50}),
              duration("commit_timeout", &QueueConfig::commit_timeout, {100ms, 10min}),
              duration("drain_timeout", &QueueConfig::drain_timeout, {0s, 1h}),
          }),
      &Config::queue);
  return keys;
}

const Keys<Config>& trackingKeys() {
  static const Keys<Config> keys = atRestart(lift(
      Keys<TrackingConfig>{
          boolean("enabled", &TrackingConfig::enabled),
          duration("keep", &TrackingConfig::keep, {1min, 24h * 365}),
          size("max_size", &TrackingConfig::max_size, {4ull << 20, 1ull << 44}),
      },
      &Config::tracking));
  return keys;
}

const Keys<Config>& tlsReportKeys() {
  static const Keys<Config> keys = lift(
      Keys<TlsReportConfig>{
          name("from", "mail address", &TlsReportConfig::from, Empty::Allowed, parseMailbox),
          described(text("organization", &TlsReportConfig::organization, Empty::Allowed),
                    "the domain of `from`"),
          described(name("contact", "mail address", &TlsReportConfig::contact, Empty::Allowed,
                         parseMailbox),
                    "`from`"),
      },
      &Config::tls_report);
  return keys;
}

const Keys<Config>& adminKeys() {
  static const Keys<Config> keys =
      lift(
          Keys<AdminConfig>{
              {"listen", "address", readAdminListen,
               [](const AdminConfig& admin) { return quoteToml(admin.listen.toString()); },
               Apply::Restart},
              file("token_file", &AdminConfig::token_file, FileKind::Secret),
              adminToken(),
              list<AdminConfig, std::string>("hosts", "list of host names", &AdminConfig::hosts,
                                             Empty::Allowed, parseHostName,
                                             [](const std::string& host) { return host; }),
          },
          &Config::admin) +
      Keys<Config>{integer("metrics_destinations", &Config::metrics_destinations, {0, 10'000})};
  return keys;
}

const Keys<Config>& logKeys() {
  static const Keys<Config> keys =
      lift(Keys<LogConfig>{word("level", &LogConfig::level, kLogLevels)} +
               atRestart(Keys<LogConfig>{word("format", &LogConfig::format, kLogFormats)}),
           &Config::log);
  return keys;
}

const Keys<Config>& processKeys() {
  static const Keys<Config> keys = atRestart(lift(
      Keys<ProcessConfig>{
          text("user", &ProcessConfig::user, Empty::Allowed),
          text("group", &ProcessConfig::group, Empty::Allowed),
          boolean("sandbox", &ProcessConfig::sandbox),
      },
      &Config::process));
  return keys;
}

const std::vector<std::string_view>& sectionNames() {
  static const std::vector<std::string_view> names{"dns",   "receive", "send",     "destination",
                                                   "dkim",  "queue",   "tracking", "tls_report",
                                                   "admin", "log",     "process"};
  return names;
}

std::string homeOfKey(std::string_view key) {
  const auto in = [&](const auto& keys) {
    return std::any_of(keys.begin(), keys.end(),
                       [&](const auto& each) { return each.name == key; });
  };
  std::string_view home;
  if (in(topKeys())) home = "at the top of the file, before every section";
  if (in(processKeys())) home = "in [process]";
  if (in(logKeys())) home = "in [log]";
  if (in(adminKeys())) home = "in [admin]";
  if (in(tlsReportKeys())) home = "in [tls_report]";
  if (in(queueKeys())) home = "in [queue]";
  if (in(trackingKeys())) home = "in [tracking]";
  if (in(dnsKeys())) home = "in [dns]";
  if (in(dkimKeys())) home = "in [[dkim]]";
  if (in(sendKeys())) home = "in [[send]]";
  if (in(receiveKeys())) home = "in [[receive]]";
  return home.empty() ? "" : " (it belongs " + std::string(home) + ")";
}

std::string printNumber(double number) {
  std::string out = fmt::format("{}", number);
  if (out.find_first_of(".e") == std::string::npos) out += ".0";
  return out;
}

}  // namespace sluice::relay
