#include "relay/config/tls_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "relay/config/file_checks.h"

namespace sluice::relay {
namespace {

constexpr size_t kMaxPemBytes = 4 << 20;  // the system's authorities are a quarter of a MiB

Result<net::TlsCertificates> readCertificates(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string pem, readWholeFile(path, kMaxPemBytes));
  auto certificates = net::TlsCertificates::parse(pem);
  if (!certificates) {
    return fail(certificates.error().code, path + " " + certificates.error().detail);
  }
  return certificates;
}

Result<net::TlsIdentity> readIdentity(net::TlsCertificates chain, const std::string& path) {
  ASSIGN_OR_RETURN(const std::string pem, readWholeFile(path, kMaxPemBytes));
  auto identity = net::TlsIdentity::of(std::move(chain), pem);
  if (!identity) return fail(identity.error().code, path + " " + identity.error().detail);
  return identity;
}

void appendState(const std::string& path, std::string& out) {
  struct stat status {};
  if (path.empty()) return;
  if (stat(path.c_str(), &status) == 0) {
    for (const auto number : {static_cast<int64_t>(status.st_ino), int64_t{status.st_size},
                              int64_t{status.st_mtim.tv_sec}, int64_t{status.st_mtim.tv_nsec}}) {
      out += std::to_string(number) + " ";
    }
  }
  out += path + "\n";
}

// As parseFingerprint() writes it.
net::Sha256Digest fingerprintBytes(std::string_view text) {
  net::Sha256Digest bytes{};
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::from_chars(text.data() + 3 * i, text.data() + 3 * i + 2, bytes[i], 16);
  }
  return bytes;
}

}  // namespace

LoadedTls<const net::TlsServerContext> loadServerTls(const ReceiveConfig& connector,
                                                     std::shared_ptr<net::TicketKeys> tickets) {
  if (connector.tls == ReceiveTls::Off || connector.tls_certificate.empty() ||
      connector.tls_certificate.size() != connector.tls_key.size()) {
    return {};
  }
  net::TlsServerOptions options;
  options.scope = connector.name;
  for (size_t i = 0; i < connector.tls_certificate.size(); ++i) {
    auto chain = readCertificates(connector.tls_certificate[i]);
    if (!chain) return {nullptr, "tls_certificate", chain.error().detail};
    auto identity = readIdentity(std::move(*chain), connector.tls_key[i]);
    if (!identity) return {nullptr, "tls_key", identity.error().detail};
    options.identities.push_back(std::move(*identity));
  }
  if (!connector.tls_client_ca.empty()) {
    auto authorities = readCertificates(connector.tls_client_ca);
    if (!authorities) return {nullptr, "tls_client_ca", authorities.error().detail};
    options.client_ca = std::move(*authorities);
  }
  for (const std::string& fingerprint : connector.tls_client_fingerprints) {
    options.client_fingerprints.push_back(fingerprintBytes(fingerprint));
  }
  auto context = net::TlsServerContext::create(options, std::move(tickets));
  if (!context) return {nullptr, "tls_certificate", context.error().detail};
  return {std::move(*context), {}, {}};
}

LoadedTls<net::TlsClientContext> loadClientTls(const SendConfig& connector, bool verifies) {
  std::optional<net::TlsCertificates> authorities;
  const bool own = !connector.tls_ca_file.empty();
  if (own || verifies) {
    auto read = readCertificates(own ? connector.tls_ca_file : kSystemAuthorities);
    if (!read) return {nullptr, own ? "tls_ca_file" : "tls", read.error().detail};
    authorities = std::move(*read);
  } else if (auto system = readCertificates(kSystemAuthorities)) {
    authorities = std::move(*system);  // for messages that demand it (REQUIRETLS)
  }
  auto context = net::TlsClientContext::create(authorities);
  if (!context) return {nullptr, "tls_ca_file", context.error().detail};
  return {std::move(*context), {}, {}};
}

LoadedTls<net::TlsClientContext> loadTrust(const std::string& path, const std::string& key) {
  auto read = readCertificates(path.empty() ? kSystemAuthorities : path);
  if (!read) return {nullptr, key, read.error().detail};
  auto context = net::TlsClientContext::create(std::move(*read));
  if (!context) return {nullptr, key, context.error().detail};
  return {std::move(*context), {}, {}};
}

bool verifiesNames(const Config& config, const SendConfig& connector) {
  const auto verifies = [](SendTls tls) {
    return tls == SendTls::Verify || tls == SendTls::MtaSts;
  };
  return verifies(connector.limits.tls) ||
         std::any_of(config.destination.begin(), config.destination.end(),
                     [&](const DestinationConfig& one) { return one.tls && verifies(*one.tls); });
}

std::string tlsFilesState(const Config& config) {
  std::string state;
  for (const ReceiveConfig& connector : config.receive) {
    for (const std::string& path : connector.tls_certificate) appendState(path, state);
    for (const std::string& path : connector.tls_key) appendState(path, state);
    appendState(connector.tls_client_ca, state);
  }
  for (const SendConfig& connector : config.send) {
    appendState(connector.tls_ca_file, state);
    appendState(connector.oauth_ca_file, state);
  }
  return state;
}

}  // namespace sluice::relay
