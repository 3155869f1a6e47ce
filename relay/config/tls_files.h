// The certificates and keys that a configuration names: read, put together, and what is wrong with
// them, in words.
//
// Reads files: at the start, at a reload, and for `sluice check`; never on a loop.
#pragma once

#include <memory>
#include <string>

#include "net/tls/tls_client_context.h"
#include "net/tls/tls_server_context.h"
#include "relay/config/config.h"

namespace sluice::relay {

// Whom we believe where a connector does not say: Debian's ca-certificates.
inline constexpr const char* kSystemAuthorities = "/etc/ssl/certs/ca-certificates.crt";

// `context`, or which key of the section is to blame and why; neither where no TLS is configured.
template <class Context>
struct LoadedTls {
  std::shared_ptr<Context> context;
  std::string key;  // "tls_key"
  std::string why;
};

LoadedTls<const net::TlsServerContext> loadServerTls(const ReceiveConfig& connector,
                                                     std::shared_ptr<net::TicketKeys> tickets);

// `verifies`: authorities are needed, the system's where the connector names none. Else the
// system's are taken if they are there.
LoadedTls<net::TlsClientContext> loadClientTls(const SendConfig& connector, bool verifies);

// For HTTPS: the authorities of `path`, the system's if it is empty; `key` is who is to blame.
LoadedTls<net::TlsClientContext> loadTrust(const std::string& path, const std::string& key);

// Whether anything that leaves by this connector demands a verified name.
bool verifiesNames(const Config& config, const SendConfig& connector);

// Changes whenever one of the files named in `config` does.
std::string tlsFilesState(const Config& config);

}  // namespace sluice::relay
