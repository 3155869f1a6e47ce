// The configuration as plain structs, every default in its place. docs/configuration.md explains
// each key; config_reader fills these from TOML.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/base/ip_address.h"

namespace sluice::net {
class SigningKey;
}  // namespace sluice::net

namespace sluice::relay {

using std::chrono::milliseconds;
using std::chrono::seconds;

enum class ReceiveTls { Off, StartTls, StartTlsRequired, Implicit };
enum class ReceiveAuth { Off, Optional, Required };
enum class BareNewline { Normalize, Reject };
enum class SendTls { Off, Opportunistic, Required, Verify, Dane, MtaSts };
enum class Route { Mx, SmartHost };

// "100/s": `count` in each `per`; a burst of one second's worth.
struct Rate {
  uint64_t count = 0;  // 0 = no limit
  seconds per{1};
  double perSecond() const { return static_cast<double>(count) / static_cast<double>(per.count()); }
};

struct DnsConfig {
  std::vector<Endpoint> servers;  // empty: resolv.conf
  milliseconds timeout{5000};
  int attempts = 3;
  bool trust_ad = false;
};

struct AuthLockout {
  int failures = 10;
  milliseconds window{600'000};
  milliseconds time{900'000};
};

struct ReceiveConfig {
  std::string name;
  std::vector<Endpoint> listen;
  std::vector<IpNetwork> relay_networks;     // default: 127.0.0.0/8, ::1/128
  std::vector<std::string> sender_domains;   // "example.com", ".example.com"; empty: any
  ReceiveTls tls = ReceiveTls::StartTls;     // StartTls without a certificate offers no TLS
  std::vector<std::string> tls_certificate;  // by SNI; the first where none fits
  std::vector<std::string> tls_key;          // of each, in the same order
  std::string tls_client_ca;
  std::vector<std::string> tls_client_fingerprints;  // SHA-256, as parseFingerprint() writes them
  ReceiveAuth auth = ReceiveAuth::Optional;
  bool auth_plaintext = false;
  std::string users_file;
  std::vector<std::string> auth_mechanisms{"plain", "login", "scram-sha-256", "scram-sha-256-plus"};
  milliseconds auth_failure_delay{1000};
  AuthLockout auth_lockout;
  uint64_t max_message_size = 50ull << 20;  // bytes
  int max_recipients = 1000;
  int max_connections = 10000;
  int max_connections_per_client = 0;  // 0 = no limit
  milliseconds command_timeout{300'000};
  milliseconds data_timeout{600'000};
  int max_errors = 20;
  milliseconds error_delay{1000};
  BareNewline bare_newline = BareNewline::Normalize;
  int max_received = 50;
  std::vector<IpNetwork> proxy_protocol_networks;
  std::vector<IpNetwork> xclient_networks;
  bool add_missing_headers = false;
  bool open_relay = false;
};

// "example.com", ".example.com" (its subdomains) or "*", with a cost.
struct AddressSpace {
  std::string domain;  // lower case, A-labels
  int cost = 1;
};

// A configured next hop: a host name or an address literal's content, and a port.
struct SmartHost {
  std::string host;
  uint16_t port = 25;
  bool operator==(const SmartHost&) const = default;
};

// What [[send]] and, for the same keys, [[destination]] set.
struct DeliveryLimits {
  SendTls tls = SendTls::Opportunistic;
  int max_connections = 20;
  int max_messages_per_connection = 1000;
  int max_recipients_per_transaction = 100;
  Rate rate;
  milliseconds connect_timeout{30'000};
  milliseconds command_timeout{300'000};
  milliseconds final_reply_timeout{600'000};
  milliseconds idle_timeout{5'000};
  milliseconds host_backoff{30'000};
};

struct SendConfig {
  std::string name;
  std::vector<AddressSpace> address_spaces;
  Route route = Route::Mx;
  std::vector<SmartHost> smart_hosts;
  bool balance = false;
  uint16_t port = 25;
  DeliveryLimits limits;
  std::string tls_ca_file;
  std::string username;
  std::string password;
  std::string password_file;
  std::string auth_mechanism = "auto";
  std::string oauth_token_url;  // tokens come from there, instead of a password
  std::string oauth_client_id;
  std::string oauth_client_secret;  // read from oauth_client_secret_file
  std::string oauth_client_secret_file;
  std::string oauth_refresh_token;  // read from oauth_refresh_token_file
  std::string oauth_refresh_token_file;
  std::string oauth_scope;
  std::string oauth_ca_file;
  std::vector<IpAddress> source_addresses;
  std::string helo;  // empty: hostname
  std::vector<IpNetwork> allow_private_hosts;
};

// Only what is set replaces the connector's value.
struct DestinationConfig {
  std::vector<std::string> match;  // "example.org", ".example.org", "mx:*.mail.example.net"
  std::optional<SendTls> tls;
  std::optional<int> max_connections;
  std::optional<int> max_messages_per_connection;
  std::optional<int> max_recipients_per_transaction;
  std::optional<Rate> rate;
  std::optional<milliseconds> connect_timeout;
  std::optional<milliseconds> command_timeout;
  std::optional<milliseconds> final_reply_timeout;
  std::optional<milliseconds> idle_timeout;
  std::optional<milliseconds> host_backoff;
};

struct DkimConfig {
  std::string domain;
  std::string selector;
  std::string key;                                     // a file
  std::shared_ptr<const net::SigningKey> private_key;  // read from it
};

struct QueueConfig {
  milliseconds retry_first{120'000};
  double retry_factor = 2.0;
  milliseconds retry_max{3'600'000};
  double retry_jitter = 0.2;
  milliseconds lifetime{4 * 86'400'000LL};
  milliseconds delay_notice{4 * 3'600'000LL};  // 0 = none
  uint64_t memory = 0;      // bytes, resolved from a percentage of the cgroup's or the machine's
  int memory_percent = 25;  // that `memory` was resolved from; 0: it was given in bytes
  uint64_t database_memory = 256ull << 20;
  uint64_t disk_reserve = 1ull << 30;
  milliseconds commit_timeout{60'000};
  milliseconds drain_timeout{30'000};
};

// What is kept of messages that have left.
struct TrackingConfig {
  bool enabled = true;
  milliseconds keep{7 * 86'400'000LL};
  uint64_t max_size = 2ull << 30;
};

// RFC 8460; without `from` nothing is counted and nothing is sent.
struct TlsReportConfig {
  std::string from;          // whom reports come from
  std::string organization;  // default: the domain of `from`
  std::string contact;       // default: `from`
};

struct AdminConfig {
  Endpoint listen;  // default 127.0.0.1:8025
  std::string token_file;
  std::string token;  // read from token_file, or SLUICE_ADMIN_TOKEN
  std::vector<std::string> hosts;
};

struct ProcessConfig {
  std::string user;  // to become once the listeners are bound; empty: who started it
  std::string group;
  bool sandbox = true;  // give up system calls that are never needed
};

struct LogConfig {
  std::string level = "info";   // debug | info | warn | error
  std::string format = "json";  // json | text
};

struct Config {
  std::string hostname;
  std::string data_dir = "/var/lib/sluice";
  int shards = 0;          // 0: one per usable core
  std::string postmaster;  // default: postmaster@hostname
  int metrics_destinations = 100;
  DnsConfig dns;
  std::vector<ReceiveConfig> receive;
  std::vector<SendConfig> send;
  std::vector<DestinationConfig> destination;
  std::vector<DkimConfig> dkim;
  QueueConfig queue;
  TrackingConfig tracking;
  TlsReportConfig tls_report;
  AdminConfig admin;
  LogConfig log;
  ProcessConfig process;
};

}  // namespace sluice::relay
