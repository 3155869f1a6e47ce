// What is known about one name and record type: its records, that there are none, or a failure.
//
// Made from a decoded answer, checked and bounded, and then shared unchanged between the cache and
// those who asked. No I/O.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "net/base/clock.h"
#include "net/base/ip_address.h"
#include "net/dns/dns_message.h"
#include "net/dns/resolver.h"

namespace sluice::net {

inline constexpr std::chrono::seconds kMaxTtl{86'400};
inline constexpr std::chrono::seconds kMinTtl{1};  // also of a TTL of 0: it spares equal questions
inline constexpr std::chrono::seconds kMaxNegativeTtl{900};
inline constexpr std::chrono::seconds kNegativeTtlWithoutSoa{10};
// A name server that returns is noticed within 10 s, whatever is asked in between.
inline constexpr std::chrono::seconds kFailureTtl{5};

struct RecordSet {
  enum class Outcome { Found, NoDomain, NoData, Failed };

  Outcome outcome = Outcome::Failed;
  std::string why;  // it failed
  bool null_mx = false;
  std::vector<MxHost> mx_hosts;      // host names only, by preference, at most kMaxMxHosts
  std::vector<IpAddress> addresses;  // of the one family asked for, at most kMaxAddresses
  std::vector<std::string> texts;    // TXT
  std::vector<std::string> names;    // PTR: host names only, a bounded number
  std::vector<TlsaRecord> tlsa;
  bool authentic = false;  // every answer on the way bore the AD bit
  std::string canonical;   // where aliases led; empty if there were none
  SteadyTime valid_until{};

  size_t bytes() const;  // of memory, nearly
};
using SharedRecordSet = std::shared_ptr<const RecordSet>;

// What came of it all, when the aliases of (the last) `message` have been followed to `chain`,
// whose TTL is the least of the whole way.
RecordSet recordSetOf(const DnsMessage& message, const AliasChain& chain, DnsType type,
                      SteadyTime now);
RecordSet failedRecordSet(std::string why, SteadyTime now);

}  // namespace sluice::net
