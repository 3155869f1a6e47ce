// What we demand of TLS servers: whom we believe, which name, which sessions we resume.
//
// Never changes but for its cache of sessions: a reload makes a new one. Any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "net/base/result.h"
#include "net/tls/dane.h"
#include "net/tls/peer_fault.h"
#include "net/tls/tls_handles.h"
#include "net/tls/tls_identity.h"
#include "net/tls/tls_session_cache.h"

namespace sluice::net {

// The server of one connection.
struct TlsPeer {
  std::string host;  // a name, also sent as SNI; or an IP address as text
  uint16_t port = 25;
  // Its certificate must be of a CA that we know and bear the name (RFC 9525: among its DNS names,
  // a wildcard for one label, never the common name). Else any certificate will do.
  bool verify = false;
  // Looked at as `verify` demands, and taken whatever it is: faultOf() tells.
  bool only_look = false;
  // If it has a usable record, the certificate must be one that it names, and `verify` is of no
  // matter.
  std::shared_ptr<const DanePolicy> dane;
};

class TlsClientContext {
 public:
  // Without authorities no certificate can be verified. Errors: NoSpace, InvalidArgument.
  static Result<std::shared_ptr<TlsClientContext>> create(
      const std::optional<TlsCertificates>& authorities);
  TlsClientContext(const TlsClientContext&) = delete;
  TlsClientContext& operator=(const TlsClientContext&) = delete;

  // For a new connection, which must not outlive this; offers to resume an earlier session with the
  // same peer under the same demand. Errors: InvalidArgument (a host that cannot be a name).
  Result<SslHandle> newConnection(const TlsPeer& peer);
  // The session that `connection`, one of ours, resumed may be resumed again, if its version
  // allows.
  static void keepResumed(ssl_st& connection);
  // What is wrong with the certificate of the server of `connection`, one of ours, where TlsPeer
  // asked for a look at it.
  static PeerFault faultOf(const ssl_st& connection);
  static PeerFault daneFaultOf(const ssl_st& connection);  // by TLSA records only

 private:
  struct Callbacks;
  TlsClientContext() = default;

  SslContextHandle context_;
  TlsSessionCache sessions_;
};

}  // namespace sluice::net
