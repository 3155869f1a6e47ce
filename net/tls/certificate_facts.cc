#include "net/tls/certificate_facts.h"

#include <openssl/asn1.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "net/base/ip_address.h"
#include "net/tls/tls_identity.h"

namespace sluice::net {
namespace {

constexpr size_t kMaxNames = 100;
constexpr size_t kMaxNameBytes = 256;

std::string textOf(const ASN1_STRING& text) {
  const auto bytes = static_cast<size_t>(std::max(ASN1_STRING_length(&text), 0));
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(&text)),
          std::min(bytes, kMaxNameBytes)};
}

std::string addressOf(const ASN1_STRING& text) {
  const std::string bytes = textOf(text);
  if (bytes.size() == 4) {
    std::array<uint8_t, 4> address{};
    std::copy(bytes.begin(), bytes.end(), address.begin());
    return IpAddress::v4(address).toString();
  }
  if (bytes.size() != 16) return {};
  std::array<uint8_t, 16> address{};
  std::copy(bytes.begin(), bytes.end(), address.begin());
  return IpAddress::v6(address).toString();
}

std::vector<std::string> namesOf(const X509& certificate) {
  std::vector<std::string> names;
  const bssl::UniquePtr<GENERAL_NAMES> all(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr)));
  if (!all) return names;
  for (size_t i = 0; i < sk_GENERAL_NAME_num(all.get()) && names.size() < kMaxNames; ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(all.get(), i);
    std::string text;
    if (name->type == GEN_DNS) text = textOf(*name->d.dNSName);
    if (name->type == GEN_IPADD) text = addressOf(*name->d.iPAddress);
    if (!text.empty()) names.push_back(std::move(text));
  }
  return names;
}

std::string entryOf(const X509_NAME& name, int nid) {
  const int at = X509_NAME_get_index_by_NID(&name, nid, -1);
  if (at < 0) return {};
  return textOf(*X509_NAME_ENTRY_get_data(X509_NAME_get_entry(&name, at)));
}

WallTime timeOf(const ASN1_TIME& time) {
  const bssl::UniquePtr<ASN1_TIME> epoch(ASN1_TIME_set(nullptr, 0));
  int days = 0;
  int seconds = 0;
  if (!epoch || ASN1_TIME_diff(&days, &seconds, epoch.get(), &time) != 1) return {};
  return WallTime{std::chrono::seconds(int64_t{days} * 86'400 + seconds)};
}

}  // namespace

CertificateFacts factsOf(const x509_st& certificate) {
  CertificateFacts facts;
  facts.names = namesOf(certificate);
  const X509_NAME& issuer = *X509_get_issuer_name(&certificate);
  facts.issuer = entryOf(issuer, NID_commonName);
  if (facts.issuer.empty()) facts.issuer = entryOf(issuer, NID_organizationName);
  facts.begins = timeOf(*X509_get0_notBefore(&certificate));
  facts.ends = timeOf(*X509_get0_notAfter(&certificate));
  return facts;
}

std::optional<ShownCertificate> shownOn(const ssl_st& connection, const std::string& host) {
  const CertificateHandle certificate(SSL_get_peer_certificate(&connection));
  if (!certificate) return std::nullopt;
  ShownCertificate shown{factsOf(*certificate), false, {}};
  const auto address = IpAddress::parse(host);
  const auto& names = shown.facts.names;
  shown.serves_host =
      address ? std::find(names.begin(), names.end(), address->toString()) != names.end()
              : certificateServes(*certificate, host);
  const long verdict = SSL_get_verify_result(&connection);
  if (verdict != X509_V_OK) shown.chain_problem = X509_verify_cert_error_string(verdict);
  return shown;
}

}  // namespace sluice::net
