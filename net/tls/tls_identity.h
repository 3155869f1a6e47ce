// Certificates and private keys out of PEM text: whom we believe, and as whom we are believed.
//
// No I/O: who reads the files also says where a mistake is. Immutable, any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/base/clock.h"
#include "net/base/result.h"
#include "net/tls/tls_handles.h"

namespace sluice::net {

// A chain, leaf first, or a set of authorities.
class TlsCertificates {
 public:
  // Every certificate in the text. Errors: Malformed (there is none, or one cannot be read).
  static Result<TlsCertificates> parse(std::string_view pem);

  const std::vector<CertificateHandle>& all() const { return all_; }
  // When the first of them ends.
  WallTime expiry() const;

 private:
  std::vector<CertificateHandle> all_;
};

class TlsIdentity {
 public:
  // Errors: Malformed (no PEM private key, or an encrypted one), InvalidArgument (it is not the
  // leaf certificate's). All are mistakes of the key's file.
  static Result<TlsIdentity> of(TlsCertificates chain, std::string_view key_pem);

  const TlsCertificates& chain() const { return chain_; }
  evp_pkey_st* key() const { return key_.get(); }

 private:
  TlsCertificates chain_;
  KeyHandle key_;
};

// Whether `host` (in any case) is among the certificate's DNS names, or below a wildcard that
// stands for one label. The common name counts for nothing. RFC 9525 section 6.3.
bool certificateServes(x509_st& certificate, std::string_view host);

}  // namespace sluice::net
