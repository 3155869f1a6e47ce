// What a certificate says, for people: whose it is, from whom, and until when. And what a server
// has shown on a connection, judged without demanding anything of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "net/base/clock.h"
#include "net/tls/tls_handles.h"

namespace sluice::net {

struct CertificateFacts {
  std::vector<std::string> names;  // DNS names, and addresses as text; bounded, hostile
  std::string issuer;              // its common name, else its organisation; hostile
  WallTime begins{};
  WallTime ends{};
};

CertificateFacts factsOf(const x509_st& certificate);

struct ShownCertificate {
  CertificateFacts facts;
  bool serves_host = false;   // the host that was connected to
  std::string chain_problem;  // why it is no known authority's; empty if it is
};

// Of a client's connection whose handshake is done and began anew; nothing if there is no
// certificate. A chain is known only where the context has authorities.
std::optional<ShownCertificate> shownOn(const ssl_st& connection, const std::string& host);

}  // namespace sluice::net
