#include "relay/cli/dns_check.h"

#include <memory>

#include "net/dns/resolver.h"
#include "net/loop.h"
#include "relay/sign/dkim_record.h"

namespace sluice::relay {
namespace {

std::string judge(const Result<std::vector<std::string>>& records, const net::SigningKey& key) {
  if (records) return whyRecordsDoNotFit(*records, key);
  switch (records.error().code) {
    case Errc::NoDomain:
    case Errc::NoData:
      return whyRecordsDoNotFit({}, key);
    default:
      return "it cannot be looked up: " + records.error().detail;
  }
}

}  // namespace

Result<std::vector<DnsFinding>> checkDns(const Config& config) {
  std::vector<DnsFinding> findings(config.dkim.size());
  if (findings.empty()) return findings;
  ASSIGN_OR_RETURN(const auto loop, net::Loop::create());
  net::ResolverOptions options;
  options.servers = config.dns.servers;
  options.timeout = config.dns.timeout;
  options.attempts = config.dns.attempts;
  ASSIGN_OR_RETURN(const auto resolver, net::Resolver::create(*loop, options));
  std::vector<std::unique_ptr<net::Lookup>> lookups;
  size_t waiting = findings.size();
  for (size_t i = 0; i < findings.size(); ++i) {
    const DkimConfig& dkim = config.dkim[i];
    findings[i].name = dkimRecordName(dkim.domain, dkim.selector);
    lookups.push_back(
        resolver->txt(findings[i].name, [&, i](const Result<std::vector<std::string>>& records) {
          findings[i].problem = judge(records, *config.dkim[i].private_key);
          if (--waiting == 0) loop->stop();
        }));
  }
  if (waiting > 0) loop->run();
  lookups.clear();
  return findings;
}

}  // namespace sluice::relay
