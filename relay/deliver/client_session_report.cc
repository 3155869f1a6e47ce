// What a session tells of its TLS, for reports to the recipients' domain (RFC 8460).
#include <fmt/format.h>

#include "net/tls/crypto.h"
#include "relay/deliver/client_session.h"

namespace sluice::relay {
namespace {

constexpr size_t kMaxLines = 16;
constexpr size_t kMaxDataBytes = 64;  // of a record; whole certificates are cut

TlsResult::Type typeOf(net::PeerFault fault) {
  switch (fault) {
    case net::PeerFault::Untrusted:
      return TlsResult::Type::CertificateNotTrusted;
    case net::PeerFault::Expired:
      return TlsResult::Type::CertificateExpired;
    case net::PeerFault::WrongName:
      return TlsResult::Type::CertificateHostMismatch;
    case net::PeerFault::None:
    case net::PeerFault::NoTlsaMatch:
      return TlsResult::Type::ValidationFailure;
  }
  return TlsResult::Type::ValidationFailure;
}

}  // namespace

void ClientSession::noteTls(TlsResult::Type type, const std::string& reason) {
  if (context_.tls_results == nullptr || hops_->domain.empty()) return;
  TlsResult result;
  result.domain = hops_->domain;
  if (dane_ || type == TlsResult::Type::DnssecInvalid) {
    result.policy = TlsResult::Policy::Tlsa;
    result.policy_lines = tlsa_lines_;
  } else if (hops_->policy) {
    result.policy = TlsResult::Policy::Sts;
    result.policy_lines = hops_->policy->lines;
    result.mx_patterns = hops_->policy->mx_patterns;
  }
  result.type = type;
  result.mx = host_.name;
  if (stream_) {
    result.from = stream_->local().address;
    result.to = endpoint_.address;
  }
  result.reason = reason;
  context_.tls_results->note(result);
}

// A handshake that was done, whatever a look at the certificate has shown (MTA-STS in testing).
void ClientSession::noteTlsSuccess() {
  if (demand_.basis == TlsDemand::Basis::DaneUnusable) {
    return noteTls(TlsResult::Type::TlsaInvalid, "no TLSA record can be used");
  }
  const net::PeerFault fault = demand_.only_look ? tls_->peerFault() : net::PeerFault::None;
  if (fault == net::PeerFault::None) return noteTls(TlsResult::Type::Success);
  noteTls(typeOf(fault), std::string(toString(fault)));
}

void ClientSession::noteTlsFailure(const Error& why) {
  if (why.code == Errc::TlsMissing) return noteTls(TlsResult::Type::StartTlsNotSupported);
  noteTls(typeOf(tls_ ? tls_->peerFault() : net::PeerFault::None), why.detail);
}

void ClientSession::noteTlsa(const std::string& base, const std::vector<net::TlsaRecord>& records) {
  if (context_.tls_results == nullptr) return;
  for (const net::TlsaRecord& record : records) {
    if (tlsa_lines_.size() == kMaxLines) return;
    tlsa_lines_.push_back(fmt::format(
        "_{}._tcp.{}. IN TLSA {} {} {} {}", host_.port, base, record.usage, record.selector,
        record.matching, net::hexEncode(std::string_view(record.data).substr(0, kMaxDataBytes))));
  }
}

}  // namespace sluice::relay
