#include "net/tls/tls_identity.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstdint>

#include "net/tls/tls_setup.h"

namespace sluice::net {
namespace {

bssl::UniquePtr<BIO> readerOf(std::string_view text) {
  return bssl::UniquePtr<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

bool atEndOfPem() {
  const uint32_t error = ERR_peek_last_error();
  return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

// Nobody is there to be asked for a password.
int noPassword(char*, int, int, void*) { return -1; }

WallTime endOf(const X509& certificate) {
  const bssl::UniquePtr<ASN1_TIME> epoch(ASN1_TIME_set(nullptr, 0));
  int days = 0;
  int seconds = 0;
  if (!epoch ||
      ASN1_TIME_diff(&days, &seconds, epoch.get(), X509_get0_notAfter(&certificate)) != 1) {
    return WallTime{};
  }
  return WallTime{std::chrono::seconds(int64_t{days} * 86'400 + seconds)};
}

}  // namespace

Result<TlsCertificates> TlsCertificates::parse(std::string_view pem) {
  ERR_clear_error();
  const auto reader = readerOf(pem);
  TlsCertificates certificates;
  while (X509* certificate = PEM_read_bio_X509(reader.get(), nullptr, nullptr, nullptr)) {
    certificates.all_.emplace_back(certificate);
  }
  if (!atEndOfPem()) {
    return fail(Errc::Malformed, "cannot read a certificate: " + takeTlsError(nullptr, "bad PEM"));
  }
  ERR_clear_error();
  if (certificates.all_.empty()) return fail(Errc::Malformed, "holds no PEM certificate");
  return certificates;
}

WallTime TlsCertificates::expiry() const {
  WallTime first = WallTime::max();
  for (const auto& certificate : all_) first = std::min(first, endOf(*certificate));
  return first;
}

Result<TlsIdentity> TlsIdentity::of(TlsCertificates chain, std::string_view key_pem) {
  ERR_clear_error();
  const auto reader = readerOf(key_pem);
  TlsIdentity identity;
  identity.key_.reset(PEM_read_bio_PrivateKey(reader.get(), nullptr, noPassword, nullptr));
  if (!identity.key_) {
    if (atEndOfPem()) {
      ERR_clear_error();
      return fail(Errc::Malformed, "holds no PEM private key");
    }
    return fail(Errc::Malformed, "cannot read the private key (an encrypted one cannot be used): " +
                                     takeTlsError(nullptr, "bad PEM"));
  }
  const bool match = X509_check_private_key(chain.all().front().get(), identity.key_.get()) == 1;
  ERR_clear_error();
  if (!match) return fail(Errc::InvalidArgument, "is not the key of the certificate");
  identity.chain_ = std::move(chain);
  return identity;
}

bool certificateServes(x509_st& certificate, std::string_view host) {
  return X509_check_host(&certificate, host.data(), host.size(),
                         X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, nullptr) == 1;
}

}  // namespace sluice::net
