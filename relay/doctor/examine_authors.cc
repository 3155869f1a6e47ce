// Will readers believe that mail is from whom it says: SPF with our addresses in it, DKIM records
// that fit the keys, a DMARC policy that our mail meets?
#include <fmt/format.h>

#include <algorithm>

#include "relay/doctor/dmarc.h"
#include "relay/doctor/examinations.h"
#include "relay/doctor/spf.h"
#include "relay/sign/dkim_record.h"

namespace sluice::relay {
namespace {

constexpr int kManySpfLookups = 8;

std::string mechanismsOf(const std::set<IpAddress>& addresses) {
  std::string text;
  for (const IpAddress& address : addresses) {
    text += (address.isV4() ? " ip4:" : " ip6:") + address.toString();
  }
  return text;
}

void examineVerdict(Examination& examination, const std::string& domain, const IpAddress& address,
                    const SpfVerdict& verdict) {
  Findings& findings = examination.findings;
  const std::string fix =
      "add" + mechanismsOf({address}) + " (or an include that has it) in front of \"all\"";
  const std::string whom = domain + " from " + address.toString();
  switch (verdict.result) {
    case SpfResult::None:
      return;  // told once for the domain
    case SpfResult::Pass:
      if (verdict.lookups >= kManySpfLookups) {
        findings.note(
            "spf", whom,
            fmt::format("passes, with {} of the 10 look-ups that are allowed", verdict.lookups),
            "replace an include by its networks before the next one is added");
      } else {
        findings.ok("spf", whom, "passes");
      }
      return;
    case SpfResult::Fail:
    case SpfResult::SoftFail:
    case SpfResult::Neutral:
      if (verdict.unsure) {
        findings.note("spf", whom,
                      fmt::format("{} without the mechanisms that depend on the message (exists, "
                                  "ptr, macros)",
                                  toString(verdict.result)),
                      fix);
      } else if (verdict.result == SpfResult::Fail) {
        findings.error("spf", whom, "fails: the domain says that such mail is forged", fix);
      } else {
        findings.warning("spf", whom, fmt::format("does not pass ({})", toString(verdict.result)),
                         fix);
      }
      return;
    case SpfResult::TempError:
      findings.warning("spf", whom, "cannot be judged: " + verdict.why,
                       "readers may see the same: ask whoever serves the zone");
      return;
    case SpfResult::PermError:
      findings.error("spf", whom, "the record is broken: " + verdict.why,
                     "mend it: readers treat it as if SPF failed");
      return;
  }
}

void examineSpf(Examination& examination, const std::string& domain) {
  Findings& findings = examination.findings;
  const auto& addresses = examination.public_addresses;
  // Without an address of ours the record can still be there or not: any will do to find out.
  const IpAddress nobody;
  const SpfVerdict first =
      checkSpf(examination.names, addresses.empty() ? nobody : *addresses.begin(), domain);
  if (first.result == SpfResult::None) {
    findings.warning(
        "spf", domain, "has no SPF record: large receivers want SPF or DKIM, and most both",
        fmt::format("publish: {}. TXT \"v=spf1{} -all\", with whoever else sends for "
                    "it",
                    domain,
                    addresses.empty() ? " include:YOUR-PROVIDER" : mechanismsOf(addresses)));
    return;
  }
  if (addresses.empty()) {
    const bool broken = first.result == SpfResult::PermError;
    if (broken) return examineVerdict(examination, domain, nobody, first);
    findings.note("spf", domain,
                  "has a record; whether it names the addresses that mail leaves from is not known",
                  examination.sendsByMx() ? "say which they are with --address"
                                          : "the smart host's operator says what to include");
    return;
  }
  for (const IpAddress& address : addresses) {
    examineVerdict(examination, domain, address, checkSpf(examination.names, address, domain));
  }
}

void examineKey(Examination& examination, const DkimConfig& dkim) {
  if (!dkim.private_key) return;  // a mistake of the configuration, told before
  const std::string name = dkimRecordName(dkim.domain, dkim.selector);
  const auto records = examination.names.txt(name);
  if (!records && !isMissing(records.error())) {
    examination.findings.warning("dkim", name, "cannot be looked up: " + records.error().detail,
                                 "readers may see the same: ask whoever serves the zone");
    return;
  }
  const std::string problem =
      whyRecordsDoNotFit(records ? *records : std::vector<std::string>(), *dkim.private_key);
  if (problem.empty()) {
    examination.findings.ok("dkim", name, "the record fits the key");
  } else {
    examination.findings.error("dkim", name, problem + ": readers find our signatures broken",
                               "publish: " + dkimZoneLine(name, dkimRecord(*dkim.private_key)));
  }
}

// The domain that mail of this author is signed by: its own, or the nearest one above it.
const DkimConfig* signerOf(const Config& config, const std::string& author) {
  const DkimConfig* best = nullptr;
  for (const DkimConfig& dkim : config.dkim) {
    const bool fits = author == dkim.domain || author.ends_with("." + dkim.domain);
    if (fits && (best == nullptr || dkim.domain.size() > best->domain.size())) best = &dkim;
  }
  return best;
}

void examineDmarc(Examination& examination, const std::string& domain) {
  Findings& findings = examination.findings;
  const auto policy = dmarcOf(examination.names, domain);
  if (!policy) {
    const bool missing = policy.error().code == Errc::NotFound;
    findings.warning("dmarc", domain, policy.error().detail,
                     missing ? fmt::format("publish: _dmarc.{}. TXT \"v=DMARC1; p=none; "
                                           "rua=mailto:dmarc@{}\"; Gmail and Yahoo want one of all "
                                           "who send much",
                                           domain, domain)
                             : "mend the record: readers ignore it");
    return;
  }
  const DkimConfig* signer = signerOf(examination.config, domain);
  const bool aligned = signer && isAligned(domain, signer->domain, policy->strict_dkim);
  const bool demands = policy->policy != "none";
  const std::string subject = domain + " p=" + policy->policy;
  if (aligned) {
    findings.ok("dmarc", subject, fmt::format("signatures by {} are aligned", signer->domain));
  } else {
    const std::string why = signer ? fmt::format(
                                         "signatures by {} do not count: adkim=s wants the "
                                         "author's own domain",
                                         signer->domain)
                                   : "mail of this domain is not signed here";
    const std::string fix = fmt::format(
        "sluice dkim keygen --domain {} --selector s1, publish the "
        "record, and add a [[dkim]] section",
        domain);
    if (demands) {
      findings.warning("dmarc", subject,
                       why +
                           ": it passes by SPF alone, and only where the reverse-path is of the "
                           "same domain and nobody forwards it",
                       fix);
    } else {
      findings.note("dmarc", subject, why, fix);
    }
  }
  if (!policy->reports) {
    findings.note("dmarc", policy->domain, "asks for no reports (rua): failures stay unseen",
                  "add rua=mailto:… to the record");
  }
}

}  // namespace

void examineAuthors(Examination& examination) {
  std::vector<std::string> domains = examination.options.from;
  if (domains.empty()) {
    for (const DkimConfig& dkim : examination.config.dkim) domains.push_back(dkim.domain);
  }
  std::sort(domains.begin(), domains.end());
  domains.erase(std::unique(domains.begin(), domains.end()), domains.end());
  if (domains.empty()) {
    examination.findings.note("from", "",
                              "SPF, DKIM and DMARC were not examined: whose mail is it?",
                              "say so with --from DOMAIN, the domain of its From field");
  }
  for (const DkimConfig& dkim : examination.config.dkim) examineKey(examination, dkim);
  for (const std::string& domain : domains) {
    examineSpf(examination, domain);
    examineDmarc(examination, domain);
  }
}

}  // namespace sluice::relay
