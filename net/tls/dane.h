// Is this the server that its domain has published in DNS (RFC 7672: DANE for SMTP)?
//
// The records must come from a validated answer; who asked for them sees to that. No I/O, no clock
// but the one that certificates are judged by. Immutable, any thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "net/base/result.h"
#include "net/tls/peer_fault.h"
#include "net/tls/tls_handles.h"
#include "net/tls/tlsa_record.h"

namespace sluice::net {

class DanePolicy {
 public:
  // Keeps what is usable of a host's TLSA records: usages DANE-TA(2) and DANE-EE(3), selectors 0
  // and 1, matching types 0, 1 and 2 with data of their form (RFC 7672 section 3.1); of a usage and
  // selector that come with digests of both kinds, the stronger ones (RFC 7671 section 9). `names`
  // are those that a certificate below a DANE-TA(2) anchor may bear; the first is the TLSA base
  // domain, which is also the server's name in TLS (section 8).
  static std::shared_ptr<const DanePolicy> of(const std::vector<TlsaRecord>& records,
                                              std::vector<std::string> names);

  // Without a usable record TLS is demanded all the same, of whomever (RFC 7672 section 2.2).
  bool usable() const { return !records_.empty(); }
  const std::string& base() const { return names_.front(); }
  // Equal for equal demands.
  const std::string& fingerprint() const { return fingerprint_; }

  // Whether the certificate that `connection`'s server has shown is one that the records name.
  // DANE-EE(3): neither names nor dates matter (RFC 7672 section 3.1.1).
  PeerFault check(ssl_st& connection) const;

 private:
  DanePolicy() = default;
  struct Chain;
  bool matchesLeaf(const Chain& chain) const;
  PeerFault checkBelowAnchors(const Chain& chain) const;

  std::vector<TlsaRecord> records_;
  std::vector<std::string> names_;
  std::string fingerprint_;
};

}  // namespace sluice::net
