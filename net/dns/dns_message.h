// What does a DNS message say? Questions to bytes, hostile bytes to records.
//
// No I/O. Names come out in lower case without the final dot, "." for the root; bytes that are no
// printable ASCII, and dots inside a label, as \DDD (RFC 1035 section 5.1), which no host name has.
// Form: RFC 1035 section 4, RFC 3596 (AAAA), RFC 6698 (TLSA).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/base/ip_address.h"
#include "net/base/result.h"

namespace sluice::net {

enum class DnsType : uint16_t {
  A = 1,
  Cname = 5,
  Soa = 6,
  Ptr = 12,
  Mx = 15,
  Txt = 16,
  Aaaa = 28,
  Tlsa = 52
};

std::string_view toString(DnsType type);

enum class DnsRcode : uint8_t {
  NoError = 0,
  FormErr = 1,
  ServFail = 2,
  NxDomain = 3,
  NotImp = 4,
  Refused = 5
};

std::string toString(DnsRcode rcode);

struct DnsRecord {
  std::string owner;
  DnsType type = DnsType::A;
  uint32_t ttl_s = 0;
  IpAddress address;        // A, AAAA
  uint16_t preference = 0;  // MX
  std::string data;  // CNAME, MX and PTR: the name; TXT: its strings, joined; TLSA: its bytes
};

struct DnsMessage {
  DnsRcode rcode = DnsRcode::NoError;
  bool authentic = false;                  // AD: the server says that it validated the answer
  std::vector<DnsRecord> answers;          // of the type asked for, and CNAMEs; at most kMaxRecords
  std::optional<uint32_t> negative_ttl_s;  // from an SOA in the authority section: RFC 2308 §5
};

inline constexpr size_t kMaxRecords = 512;
inline constexpr size_t kMaxTxtBytes = 16 * 1024;  // of one record; more is cut off

// A recursive query for one name without EDNS (an answer over 512 bytes comes by TCP). `want_ad`
// asks for the AD bit (RFC 6840 section 5.7). Errors: InvalidArgument (not a name).
Result<std::string> encodeQuery(std::string_view name, DnsType type, uint16_t id, bool want_ad);

// Errors: Malformed (also: not a whole answer). Answers with an error rcode have no records.
Result<DnsMessage> decodeAnswer(std::string_view message, DnsType asked);

// Where the aliases in an answer lead to, from `name` on.
struct AliasChain {
  std::string end;                        // the last name: no alias, as far as the answer says
  int aliases = 0;                        // CNAMEs followed
  bool too_long = false;                  // more than was allowed; a loop is
  std::vector<const DnsRecord*> records;  // of the type asked for, at the end
  uint32_t ttl_s = UINT32_MAX;            // the least of aliases and records
};
AliasChain followAliases(const DnsMessage& message, std::string_view name, DnsType type,
                         int max_aliases);

// Letters, digits, hyphens and underscores in labels of 1..63, at most 253 in all, and not a number
// at the end, as an IP address has. Lower case.
bool isHostName(std::string_view name);

}  // namespace sluice::net
