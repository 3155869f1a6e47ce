#include "relay/doctor/dmarc.h"

#include <algorithm>
#include <map>
#include <optional>

#include "net/smtp/path.h"

namespace sluice::relay {
namespace {

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// "v=DMARC1; p=none": tags in lower case; the first of equals counts.
std::map<std::string, std::string> tagsOf(std::string_view record) {
  std::map<std::string, std::string> tags;
  while (!record.empty()) {
    const size_t end = std::min(record.find(';'), record.size());
    const std::string_view tag = record.substr(0, end);
    record.remove_prefix(std::min(end + 1, record.size()));
    const size_t equals = tag.find('=');
    if (equals == std::string_view::npos) continue;
    tags.emplace(smtp::toLowerAscii(trimmed(tag.substr(0, equals))),
                 trimmed(tag.substr(equals + 1)));
  }
  return tags;
}

bool isPolicy(std::string_view text) {
  return text == "none" || text == "quarantine" || text == "reject";
}

Result<DmarcPolicy> parsePolicy(const std::string& record, const std::string& owner, bool own) {
  const auto tags = tagsOf(record);
  const auto value = [&tags](const char* name) {
    const auto found = tags.find(name);
    return found == tags.end() ? std::string() : smtp::toLowerAscii(found->second);
  };
  DmarcPolicy policy;
  policy.domain = owner;
  policy.policy = value("p");
  if (!isPolicy(policy.policy)) {
    return fail(Errc::Malformed,
                "the record at _dmarc." + owner + " has no p=none, p=quarantine or p=reject");
  }
  if (!own && isPolicy(value("sp"))) policy.policy = value("sp");
  policy.strict_dkim = value("adkim") == "s";
  policy.strict_spf = value("aspf") == "s";
  policy.reports = !value("rua").empty();
  return policy;
}

// The record of this very name, if there is one.
Result<std::optional<std::string>> recordAt(NameService& names, const std::string& domain) {
  const auto texts = names.txt("_dmarc." + domain);
  if (!texts && isMissing(texts.error())) return std::optional<std::string>();
  if (!texts) return tl::unexpected(texts.error());
  std::optional<std::string> found;
  for (const std::string& text : *texts) {
    if (text.substr(0, 8) != "v=DMARC1") continue;
    if (found) return fail(Errc::Malformed, "_dmarc." + domain + " has several records");
    found = text;
  }
  return found;
}

}  // namespace

Result<DmarcPolicy> dmarcOf(NameService& names, const std::string& domain) {
  std::string owner = domain;
  for (;;) {
    ASSIGN_OR_RETURN(const auto record, recordAt(names, owner));
    if (record) return parsePolicy(*record, owner, owner == domain);
    const size_t dot = owner.find('.');
    if (dot == std::string::npos || owner.find('.', dot + 1) == std::string::npos) break;
    owner = owner.substr(dot + 1);
  }
  return fail(Errc::NotFound, "there is no DMARC record");
}

bool isAligned(std::string_view author, std::string_view signer, bool strict) {
  if (smtp::equalsIgnoringCase(author, signer)) return true;
  if (strict) return false;
  const auto below = [](std::string_view low, std::string_view high) {
    return low.size() > high.size() && low[low.size() - high.size() - 1] == '.' &&
           smtp::equalsIgnoringCase(low.substr(low.size() - high.size()), high);
  };
  return below(author, signer) || below(signer, author);
}

}  // namespace sluice::relay
