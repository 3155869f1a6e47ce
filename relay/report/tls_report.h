// What does a daily TLS report say, and where does a domain want it (RFC 8460)?
//
// Pure. Records and what the ledger holds come from outside.
#pragma once

#include <string>
#include <vector>

#include "net/base/result.h"
#include "relay/report/tls_ledger.h"

namespace sluice::relay {

struct TlsReportWishes {
  std::vector<std::string> mailboxes;  // of mailto: URIs
  std::vector<std::string> urls;       // https: URIs
};

// The _smtp._tls record among a name's TXT records (RFC 8460 section 3). Errors: NotFound (none, or
// several), Malformed (it asks for nothing that can be done).
Result<TlsReportWishes> readReportRecord(const std::vector<std::string>& texts);

struct TlsReportFacts {
  std::string organization;
  std::string contact;
  std::string from;      // a mailbox
  std::string hostname;  // of this relay
  TlsLedger::Entry entry;
  WallTime now{};

  // Equal for every attempt to report the same.
  std::string id() const;
};

// Section 4.4.
std::string makeReportJson(const TlsReportFacts& facts, const TlsTallies& tallies);

// A whole mail with the report in it (section 5.3). `compressed` is makeReportJson()'s, by gzip.
std::string makeReportMail(const TlsReportFacts& facts, const std::string& to,
                           std::string_view compressed);

}  // namespace sluice::relay
