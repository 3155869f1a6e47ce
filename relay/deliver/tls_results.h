// What came of TLS with one host of a domain, for whoever reports it to that domain (RFC 8460)?
//
// Delivery tells this interface once a connection, and of hosts that were not even connected to.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "net/base/ip_address.h"

namespace sluice::relay {

struct TlsResult {
  enum class Policy : uint8_t { NoneFound, Tlsa, Sts };
  // RFC 8460 section 4.3.
  enum class Type : uint8_t {
    Success,
    StartTlsNotSupported,
    CertificateHostMismatch,
    CertificateExpired,
    CertificateNotTrusted,
    ValidationFailure,
    TlsaInvalid,
    DnssecInvalid,
    StsPolicyFetchError,
    StsPolicyInvalid,
    StsWebpkiInvalid,
  };

  std::string domain;  // the recipients'
  Policy policy = Policy::NoneFound;
  std::vector<std::string> policy_lines;  // as published: TLSA records, or the lines of the file
  std::vector<std::string> mx_patterns;   // of an MTA-STS policy
  Type type = Type::Success;
  std::string mx;
  IpAddress from;  // ours; all zeros if no connection was made
  IpAddress to;
  std::string reason;  // in our words, of a failure
};

std::string_view toString(TlsResult::Policy policy);  // "tlsa"
std::string_view toString(TlsResult::Type type);      // "starttls-not-supported"

class TlsResults {
 public:
  virtual ~TlsResults() = default;
  // Any thread; takes a short lock.
  virtual void note(const TlsResult& result) = 0;
};

}  // namespace sluice::relay
