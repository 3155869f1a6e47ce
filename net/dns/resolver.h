// DNS for one shard: MX hosts and addresses, cached, coalesced, with failures remembered.
//
// Names are lower-case A-labels (net/smtp/path.h's domains). Answers are hostile until checked:
// they are bounded in number and size, names must be host names, look-up chains end. Callbacks come
// on the loop, from the cache at once or later; dropping the returned handle cancels the callback.
// A callback may drop its own handle, but not the resolver. RFC 5321 section 5.1, RFC 7505 (null
// MX), RFC 2308 (negative answers).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "net/base/ip_address.h"
#include "net/base/result.h"
#include "net/base/unique_function.h"
#include "net/dns/dns_metrics.h"
#include "net/loop.h"
#include "net/tls/tlsa_record.h"

namespace sluice::net {

struct ResolverOptions {
  std::vector<Endpoint> servers;            // empty: resolv.conf
  std::chrono::milliseconds timeout{5000};  // for one try at one server
  int attempts = 3;
  size_t cache_entries = 100'000;
  // Ask the servers whether they validated (DNSSEC), and believe them: `secure` below.
  bool trust_ad = false;
  std::string hosts_file = "/etc/hosts";  // for smart hosts; read at start and by flushCache()
  DnsMetrics* metrics = nullptr;          // outlives the resolver
};

struct MxHost {
  std::string name;
  uint16_t preference = 0;
  bool operator==(const MxHost&) const = default;
};

// MX hosts by preference, equals in the order of the answer (the caller shuffles). If the domain
// has no MX but addresses, it is its own host with `implicit` set.
struct MxAnswer {
  std::vector<MxHost> hosts;  // at most kMaxMxHosts
  bool implicit = false;
  bool secure = false;  // validated, says a trusted server
  SteadyTime valid_until{};
};

struct AddressAnswer {
  std::vector<IpAddress> addresses;  // IPv6 and IPv4 in turn, at most kMaxAddresses
  // All that led to these addresses was validated. A family that has none, or whose answer did not
  // come, changes nothing: who can only hold an answer back must not decide what is believed.
  bool secure = false;
  std::string canonical;  // where aliases (CNAME) lead; empty if the name is none
  SteadyTime valid_until{};
};

struct TlsaAnswer {
  std::vector<TlsaRecord> records;  // also those that nobody can use
  bool secure = false;
  SteadyTime valid_until{};
};

inline constexpr size_t kMaxMxHosts = 32;
inline constexpr size_t kMaxAddresses = 32;

// A look-up that is under way; destroying it gives it up.
class Lookup {
 public:
  virtual ~Lookup() = default;
};

class Resolver {
 public:
  virtual ~Resolver() = default;
  static Result<std::unique_ptr<Resolver>> create(Loop& loop, const ResolverOptions& options);

  // Errors: NoDomain (NXDOMAIN), NoData (neither MX nor address), NullMx, DnsFailed (anything else:
  // temporary; remembered for 10 s at most).
  virtual std::unique_ptr<Lookup> mx(const std::string& domain,
                                     UniqueFunction<void(Result<MxAnswer>)> done) = 0;
  // A and AAAA together. One family's failure does not hide the other's addresses.
  // Errors: NoDomain, NoData, DnsFailed.
  virtual std::unique_ptr<Lookup> addresses(const std::string& host,
                                            UniqueFunction<void(Result<AddressAnswer>)> done) = 0;
  // As addresses(), but an address in words is itself, and /etc/hosts and "localhost" count: for
  // names that the configuration gives, never for names that come from mail or from DNS.
  virtual std::unique_ptr<Lookup> smartHostAddresses(
      const std::string& host, UniqueFunction<void(Result<AddressAnswer>)> done) {
    return addresses(host, std::move(done));
  }
  // TXT strings of a name, each joined (SPF, DKIM, DMARC checks). Errors as above.
  virtual std::unique_ptr<Lookup> txt(
      const std::string& name, UniqueFunction<void(Result<std::vector<std::string>>)> done) = 0;
  // TLSA records of "_25._tcp.mx.example.com". Errors as above; NoData and NoDomain do not say
  // whether they were validated, so ask for the host's addresses first.
  virtual std::unique_ptr<Lookup> tlsa(const std::string& name,
                                       UniqueFunction<void(Result<TlsaAnswer>)> done) = 0;
  // The names of an address by its PTR records, host names only. Errors as above.
  virtual std::unique_ptr<Lookup> names(
      const IpAddress& address, UniqueFunction<void(Result<std::vector<std::string>>)> done);
  // Forgets answers, and reads resolv.conf and the hosts file again.
  virtual void flushCache() = 0;
};

// "1.2.0.192.in-addr.arpa": where an address's PTR records are (RFC 1035 section 3.5, RFC 3596
// section 2.5).
std::string reverseName(const IpAddress& address);

// The name servers of resolv.conf, in its order. Errors: Io.
Result<std::vector<Endpoint>> systemNameServers();

}  // namespace sluice::net
