// The DNS record that a DKIM key needs: how it is written, and whether what is published fits.
//
// RFC 6376 section 3.6.1, RFC 8463 section 4. Pure; published records are hostile.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/tls/signing_key.h"

namespace sluice::relay {

// "s2026a._domainkey.example.com".
std::string dkimRecordName(std::string_view domain, std::string_view selector);

// "v=DKIM1; k=rsa; p=MIIB...".
std::string dkimRecord(const net::SigningKey& key);

// The record's line of a zone file, cut into strings of at most 255 octets (RFC 1035 section 3.3).
std::string dkimZoneLine(const std::string& name, std::string_view record);

// Why verifiers will not find `key` in these TXT records of its name; empty if they will.
std::string whyRecordsDoNotFit(const std::vector<std::string>& records, const net::SigningKey& key);

}  // namespace sluice::relay
