#include "relay/deliver/tls_results.h"

namespace sluice::relay {

std::string_view toString(TlsResult::Policy policy) {
  switch (policy) {
    case TlsResult::Policy::NoneFound:
      return "no-policy-found";
    case TlsResult::Policy::Tlsa:
      return "tlsa";
    case TlsResult::Policy::Sts:
      return "sts";
  }
  return "?";
}

std::string_view toString(TlsResult::Type type) {
  switch (type) {
    case TlsResult::Type::Success:
      return "success";
    case TlsResult::Type::StartTlsNotSupported:
      return "starttls-not-supported";
    case TlsResult::Type::CertificateHostMismatch:
      return "certificate-host-mismatch";
    case TlsResult::Type::CertificateExpired:
      return "certificate-expired";
    case TlsResult::Type::CertificateNotTrusted:
      return "certificate-not-trusted";
    case TlsResult::Type::ValidationFailure:
      return "validation-failure";
    case TlsResult::Type::TlsaInvalid:
      return "tlsa-invalid";
    case TlsResult::Type::DnssecInvalid:
      return "dnssec-invalid";
    case TlsResult::Type::StsPolicyFetchError:
      return "sts-policy-fetch-error";
    case TlsResult::Type::StsPolicyInvalid:
      return "sts-policy-invalid";
    case TlsResult::Type::StsWebpkiInvalid:
      return "sts-webpki-invalid";
  }
  return "?";
}

}  // namespace sluice::relay
