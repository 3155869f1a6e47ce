// What is known about one name and record type: its records, that there are none, or a failure.
#include "net/dns/record_set.h"

#include <algorithm>

namespace sluice::net {
namespace {

using std::chrono::seconds;

constexpr size_t kMaxTextBytes = 32 * 1024;  // of all TXT records of one name
constexpr size_t kMaxNames = 32;             // of one address; some have thousands
constexpr size_t kMaxTlsaRecords = 32;
constexpr size_t kMaxTlsaBytes = 4096;  // of one record, which may hold a whole certificate

// RFC 5321 §5.1 and RFC 7505. Names that are no host names are dropped: they cannot be connected
// to. If none is left the domain is misconfigured, which may be mended: a failure, not "no data".
void takeMxHosts(const AliasChain& chain, RecordSet& set) {
  bool root_named = false;
  for (const DnsRecord* record : chain.records) {
    if (record->data == ".") root_named = true;
    if (isHostName(record->data)) set.mx_hosts.push_back({record->data, record->preference});
  }
  std::stable_sort(set.mx_hosts.begin(), set.mx_hosts.end(),
                   [](const auto& a, const auto& b) { return a.preference < b.preference; });
  if (set.mx_hosts.size() > kMaxMxHosts) set.mx_hosts.resize(kMaxMxHosts);
  if (!set.mx_hosts.empty()) return;
  if (root_named && chain.records.size() == 1) {
    set.null_mx = true;
  } else {
    set.outcome = RecordSet::Outcome::Failed;
    set.why = "no MX record names a host";
  }
}

void takeAddresses(const AliasChain& chain, RecordSet& set) {
  for (const DnsRecord* record : chain.records) {
    if (set.addresses.size() == kMaxAddresses) break;
    const auto& known = set.addresses;
    if (std::find(known.begin(), known.end(), record->address) == known.end()) {
      set.addresses.push_back(record->address);
    }
  }
}

void takeTexts(const AliasChain& chain, RecordSet& set) {
  size_t bytes = 0;
  for (const DnsRecord* record : chain.records) {
    bytes += record->data.size();
    if (bytes > kMaxTextBytes) break;
    set.texts.push_back(record->data);
  }
}

void takeNames(const AliasChain& chain, RecordSet& set) {
  for (const DnsRecord* record : chain.records) {
    if (set.names.size() == kMaxNames) break;
    if (isHostName(record->data)) set.names.push_back(record->data);
  }
}

// RFC 6698 §2.1. One that is too long stays as one without data, which nobody can use: that there
// are records says something, too.
void takeTlsa(const AliasChain& chain, RecordSet& set) {
  for (const DnsRecord* record : chain.records) {
    if (set.tlsa.size() == kMaxTlsaRecords) break;
    const std::string& data = record->data;
    set.tlsa.push_back({.usage = static_cast<uint8_t>(data[0]),
                        .selector = static_cast<uint8_t>(data[1]),
                        .matching = static_cast<uint8_t>(data[2]),
                        .data = data.size() <= 3 + kMaxTlsaBytes ? data.substr(3) : ""});
  }
}

void takeRecords(const AliasChain& chain, DnsType type, RecordSet& set) {
  switch (type) {
    case DnsType::Mx:
      return takeMxHosts(chain, set);
    case DnsType::A:
    case DnsType::Aaaa:
      return takeAddresses(chain, set);
    case DnsType::Txt:
      return takeTexts(chain, set);
    case DnsType::Tlsa:
      return takeTlsa(chain, set);
    case DnsType::Ptr:
      return takeNames(chain, set);
    case DnsType::Cname:
    case DnsType::Soa:
      return;
  }
}

}  // namespace

size_t RecordSet::bytes() const {
  size_t bytes = sizeof(RecordSet) + why.capacity() + canonical.capacity() +
                 addresses.capacity() * sizeof(IpAddress);
  for (const MxHost& host : mx_hosts) bytes += sizeof(MxHost) + host.name.capacity();
  for (const std::string& name : names) bytes += sizeof(name) + name.capacity();
  for (const std::string& text : texts) bytes += sizeof(text) + text.capacity();
  for (const TlsaRecord& record : tlsa) bytes += sizeof(record) + record.data.capacity();
  return bytes;
}

RecordSet recordSetOf(const DnsMessage& message, const AliasChain& chain, DnsType type,
                      SteadyTime now) {
  RecordSet set;
  seconds ttl{chain.ttl_s};
  if (!chain.records.empty()) {
    set.outcome = RecordSet::Outcome::Found;
    takeRecords(chain, type, set);
    if (set.outcome == RecordSet::Outcome::Failed) ttl = std::min(ttl, kFailureTtl);
  } else {
    set.outcome = message.rcode == DnsRcode::NxDomain ? RecordSet::Outcome::NoDomain
                                                      : RecordSet::Outcome::NoData;
    const seconds negative =
        message.negative_ttl_s ? seconds(*message.negative_ttl_s) : kNegativeTtlWithoutSoa;
    ttl = std::min({ttl, negative, kMaxNegativeTtl});
  }
  set.valid_until = now + std::clamp(ttl, kMinTtl, kMaxTtl);
  return set;
}

RecordSet failedRecordSet(std::string why, SteadyTime now) {
  RecordSet set;
  set.why = std::move(why);
  set.valid_until = now + kFailureTtl;
  return set;
}

}  // namespace sluice::net
