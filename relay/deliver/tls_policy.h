// What does an attempt demand of TLS, and which hosts are known not to manage it?
#pragma once

#include <chrono>
#include <unordered_map>

#include "net/base/clock.h"
#include "net/base/ip_address.h"
#include "net/smtp/client_protocol.h"
#include "net/tls/dane.h"
#include "relay/config/config.h"
#include "relay/deliver/tls_policy_source.h"
#include "relay/route/tls_wish.h"

namespace sluice::relay {

// What is known of one host's TLS before it is connected to, beside the configuration.
struct PublishedTls {
  std::shared_ptr<const net::DanePolicy> dane;               // it has validated TLSA records
  DomainTlsPolicy::Mode mode = DomainTlsPolicy::Mode::None;  // of the domain's MTA-STS policy
  bool covered = false;                                      // by that policy
  bool proven_name = false;  // the host's name comes from validated DNS, or the configuration
};

struct TlsDemand {
  enum class When : uint8_t { Never, IfOffered, Always, FromTheStart } when = When::Never;
  // Where it comes from. DaneUnusable: there are TLSA records, and nobody can use them.
  enum class Basis : uint8_t {
    Configuration,
    Dane,
    DaneUnusable,
    MtaSts
  } basis = Basis::Configuration;
  bool verify = false;         // the certificate: a known CA's, for the host's name
  bool only_look = false;      // as `verify`, but it is taken whatever is wrong with it
  bool may_fall_back = false;  // to plaintext, on a new connection, if the handshake fails
  bool excluded = false;       // the domain's policy does not name this host: it is not used

  // Whether the far end has shown that it is who it should be, once the handshake is done.
  bool authenticates() const { return verify || basis == Basis::Dane; }
};

// What is asked of the dialogue; FromTheStart is the connection's business.
smtp::StartTls starttlsFor(TlsDemand::When when);

// "dane", "mta-sts"; empty where no published policy is kept.
std::string_view toString(TlsDemand::Basis basis);

// What a configured level becomes for messages with a wish of their own. REQUIRETLS looks for
// whatever is published; TLS-Required: No sets aside what recipients' domains publish, never what
// is configured here.
SendTls underWish(SendTls policy, TlsWish wish);

// Pure. `dane` and `mta-sts` demand what is published and are opportunistic otherwise; under
// `mta-sts` a host with TLSA records is judged by them alone (RFC 8461 section 2). A smart host's
// port 465 speaks TLS from the first byte (RFC 8314 section 3.3).
// Under REQUIRETLS the far end must prove a name that is itself proven (RFC 8689 section 4.2.1), or
// it is excluded.
TlsDemand tlsDemand(SendTls policy, Route route, uint16_t port, const PublishedTls& published = {},
                    TlsWish wish = TlsWish::None);

// Whether TLSA records are looked for, and whether a policy of the domain is.
bool asksForDane(SendTls policy);
bool asksForMtaSts(SendTls policy);

// Hosts whose handshakes failed lately: opportunistic TLS leaves them alone for a while. One a
// shard; bounded.
class PlainHosts {
 public:
  static constexpr std::chrono::minutes kRemembered{15};
  static constexpr size_t kMaxHosts = 10'000;

  void add(const Endpoint& host, SteadyTime now);
  bool contains(const Endpoint& host, SteadyTime now);

 private:
  std::unordered_map<Endpoint, SteadyTime> until_;
};

}  // namespace sluice::relay
