// What a listener shows to TLS clients: its certificates, whom it asks for one, its tickets.
//
// Never changes: a reload makes a new one, and sessions keep what they began with. Any thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/base/clock.h"
#include "net/base/result.h"
#include "net/tls/crypto.h"
#include "net/tls/ticket_keys.h"
#include "net/tls/tls_handles.h"
#include "net/tls/tls_identity.h"

namespace sluice::net {

struct TlsServerOptions {
  // Chosen by the name that the client asks for (SNI); the first one where none fits.
  std::vector<TlsIdentity> identities;
  // Clients are asked for a certificate of one of these, and go on without one.
  std::optional<TlsCertificates> client_ca;
  // Or for one of these, whoever signed it: SHA-256 of the DER form.
  std::vector<Sha256Digest> client_fingerprints;
  std::string scope;  // sessions are resumed where this is the same: the listener's name
};

class TlsServerContext {
 public:
  // `tickets` is shared, so that sessions can be resumed after a reload. Errors: InvalidArgument (a
  // certificate that no client could use, with the reason), NoSpace.
  static Result<std::shared_ptr<const TlsServerContext>> create(
      const TlsServerOptions& options, std::shared_ptr<TicketKeys> tickets);
  ~TlsServerContext();
  TlsServerContext(const TlsServerContext&) = delete;
  TlsServerContext& operator=(const TlsServerContext&) = delete;

  // When the first of the certificates ends.
  WallTime expiry() const { return expiry_; }
  // For a new connection, which must not outlive this.
  SslHandle newConnection() const;
  // Of an established connection: did it come with a certificate that was asked for?
  static bool hasTrustedClient(const ssl_st& connection);

 private:
  struct Choice;
  struct Callbacks;
  TlsServerContext() = default;
  Result<void> add(const TlsIdentity& identity, const TlsServerOptions& options);

  std::vector<std::unique_ptr<Choice>> choices_;
  std::shared_ptr<TicketKeys> tickets_;
  bool has_client_ca_ = false;
  std::vector<Sha256Digest> client_fingerprints_;  // sorted
  WallTime expiry_ = WallTime::max();
};

}  // namespace sluice::net
