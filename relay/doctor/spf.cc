#include "relay/doctor/spf.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <vector>

#include "net/smtp/path.h"

namespace sluice::relay {
namespace {

using smtp::equalsIgnoringCase;

struct Term {
  SpfResult if_matched = SpfResult::Pass;
  std::string name;    // lower case
  std::string value;   // behind ':' or '='
  std::string prefix;  // behind '/', the first slash left out
  bool modifier = false;
};

SpfResult qualifier(char sign) {
  switch (sign) {
    case '-':
      return SpfResult::Fail;
    case '~':
      return SpfResult::SoftFail;
    case '?':
      return SpfResult::Neutral;
    default:
      return SpfResult::Pass;
  }
}

Term parseTerm(std::string_view text) {
  Term term;
  if (!text.empty() && std::string_view("+-~?").find(text.front()) != std::string_view::npos) {
    term.if_matched = qualifier(text.front());
    text.remove_prefix(1);
  }
  const size_t name_ends = std::min(text.find_first_of(":=/"), text.size());
  term.name = smtp::toLowerAscii(text.substr(0, name_ends));
  text.remove_prefix(name_ends);
  term.modifier = text.starts_with('=');
  if (text.starts_with(':') || text.starts_with('=')) {
    // An address may be followed by its prefix, and an IPv6 address has colons of its own.
    const size_t slash = std::min(text.find('/'), text.size());
    term.value = text.substr(1, slash - 1);
    text.remove_prefix(slash);
  }
  if (text.starts_with('/')) term.prefix = text.substr(1);
  return term;
}

std::vector<std::string_view> termsOf(std::string_view record) {
  std::vector<std::string_view> terms;
  for (size_t at = 0; at < record.size();) {
    const size_t end = std::min(record.find(' ', at), record.size());
    if (end > at) terms.push_back(record.substr(at, end - at));
    at = end + 1;
  }
  return terms;
}

std::optional<int> readPrefix(std::string_view text, int most) {
  if (text.empty()) return most;
  int bits = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bits);
  if (error != std::errc() || end != text.data() + text.size() || bits < 0 || bits > most) {
    return std::nullopt;
  }
  return bits;
}

bool shareBits(const IpAddress& a, const IpAddress& b, int bits) {
  if (a.isV4() != b.isV4()) return false;
  int left = a.isV4() ? bits + 96 : bits;
  for (size_t i = 0; i < 16 && left > 0; ++i, left -= 8) {
    const auto mask = static_cast<uint8_t>(left >= 8 ? 0xff : 0xff << (8 - left));
    if ((a.bytes()[i] & mask) != (b.bytes()[i] & mask)) return false;
  }
  return true;
}

class Evaluation {
 public:
  Evaluation(NameService& names, const IpAddress& address, SpfVerdict& verdict)
      : names_(names), address_(address), verdict_(verdict) {}

  SpfResult check(const std::string& domain) {
    const auto record = recordOf(domain);
    if (!record) return record.error();
    std::optional<Term> redirect;
    for (const std::string_view text : termsOf(std::string_view(*record).substr(6))) {
      const Term term = parseTerm(text);
      if (term.modifier) {
        if (term.name == "redirect") redirect = term;
        continue;  // exp and unknown modifiers change nothing: RFC 7208 section 6
      }
      const auto matched = matches(term, domain);
      if (!matched) return matched.error();
      if (*matched) return term.if_matched;
    }
    if (!redirect) return SpfResult::Neutral;
    if (!cost()) return SpfResult::PermError;
    if (dependsOnMessage(redirect->value)) return SpfResult::Neutral;
    const SpfResult result = check(smtp::toLowerAscii(redirect->value));
    if (result != SpfResult::None) return result;
    return broken("redirect=" + redirect->value + " has no SPF record");
  }

 private:
  SpfResult broken(std::string why) {
    if (verdict_.why.empty()) verdict_.why = std::move(why);
    return SpfResult::PermError;
  }
  SpfResult failed(const std::string& name, const Error& error) {
    if (verdict_.why.empty()) verdict_.why = name + ": " + error.detail;
    return SpfResult::TempError;
  }
  // A term that costs a question; false if that is one too many.
  bool cost() {
    if (++verdict_.lookups <= kMaxSpfLookups) return true;
    broken("it takes more than 10 DNS look-ups, and readers stop there");
    return false;
  }
  bool dependsOnMessage(std::string_view value) {
    if (value.find('%') == std::string_view::npos) return false;
    verdict_.unsure = true;
    return true;
  }

  tl::expected<std::string, SpfResult> recordOf(const std::string& domain) {
    const auto texts = names_.txt(domain);
    if (!texts && isMissing(texts.error())) return tl::unexpected(SpfResult::None);
    if (!texts) return tl::unexpected(failed(domain, texts.error()));
    std::optional<std::string> found;
    for (const std::string& text : *texts) {
      if (!equalsIgnoringCase(text.substr(0, 6), "v=spf1")) continue;
      if (text.size() > 6 && text[6] != ' ') continue;
      if (found) return tl::unexpected(broken(domain + " has several SPF records"));
      found = text;
    }
    if (!found) return tl::unexpected(SpfResult::None);
    return *found;
  }

  tl::expected<bool, SpfResult> matches(const Term& term, const std::string& domain) {
    if (term.name == "all") return true;
    if (term.name == "ip4" || term.name == "ip6") return inNetwork(term);
    if (term.name == "a") return hasAddress(term, domain);
    if (term.name == "mx") return hasMx(term, domain);
    if (term.name == "include") return includes(term);
    if (term.name == "exists" || term.name == "ptr") {
      if (!cost()) return tl::unexpected(SpfResult::PermError);
      verdict_.unsure = true;
      return false;
    }
    return tl::unexpected(broken("\"" + term.name + "\" is no mechanism of SPF"));
  }

  tl::expected<bool, SpfResult> inNetwork(const Term& term) {
    const auto base = IpAddress::parse(term.value);
    const bool v4 = term.name == "ip4";
    const auto bits = readPrefix(term.prefix, v4 ? 32 : 128);
    if (!base || base->isV4() != v4 || !bits) {
      return tl::unexpected(broken("\"" + term.name + ":" + term.value + "\" is no network"));
    }
    return shareBits(*base, address_, *bits);
  }

  // "a/24", "a//64", "a/24//64": the prefix of our family.
  std::optional<int> prefixOf(const Term& term) const {
    const size_t dual = term.prefix.starts_with('/') ? 0 : term.prefix.find("//");
    std::string_view v4 = term.prefix;
    std::string_view v6;
    if (dual == 0) {
      v6 = v4.substr(1);
      v4 = {};
    } else if (dual != std::string::npos) {
      v6 = v4.substr(dual + 2);
      v4 = v4.substr(0, dual);
    }
    return address_.isV4() ? readPrefix(v4, 32) : readPrefix(v6, 128);
  }

  tl::expected<bool, SpfResult> among(const std::string& host, int bits) {
    const auto answer = names_.addresses(host);
    if (!answer && !isMissing(answer.error())) {
      return tl::unexpected(failed(host, answer.error()));
    }
    if (!answer) return noteVoid();
    const auto& all = answer->addresses;
    return std::any_of(all.begin(), all.end(),
                       [&](const IpAddress& one) { return shareBits(one, address_, bits); });
  }
  tl::expected<bool, SpfResult> noteVoid() {
    if (++void_lookups_ <= kMaxSpfVoidLookups) return false;
    return tl::unexpected(broken("more than 2 of its names do not exist, and readers stop there"));
  }

  tl::expected<bool, SpfResult> hasAddress(const Term& term, const std::string& domain) {
    if (!cost()) return tl::unexpected(SpfResult::PermError);
    if (dependsOnMessage(term.value)) return false;
    const auto bits = prefixOf(term);
    if (!bits) return tl::unexpected(broken("\"a/" + term.prefix + "\" has no right prefix"));
    return among(term.value.empty() ? domain : smtp::toLowerAscii(term.value), *bits);
  }

  tl::expected<bool, SpfResult> hasMx(const Term& term, const std::string& domain) {
    if (!cost()) return tl::unexpected(SpfResult::PermError);
    if (dependsOnMessage(term.value)) return false;
    const auto bits = prefixOf(term);
    if (!bits) return tl::unexpected(broken("\"mx/" + term.prefix + "\" has no right prefix"));
    const std::string name = term.value.empty() ? domain : smtp::toLowerAscii(term.value);
    const auto answer = names_.mx(name);
    if (!answer && answer.error().code == Errc::NullMx) return false;
    if (!answer && !isMissing(answer.error())) {
      return tl::unexpected(failed(name, answer.error()));
    }
    if (!answer || answer->implicit) return noteVoid();  // the implicit MX is no MX record
    if (answer->hosts.size() > kMaxSpfMxNames) {
      return tl::unexpected(broken("\"mx\" of " + name + " names more than 10 hosts"));
    }
    for (const net::MxHost& host : answer->hosts) {
      const auto matched = among(host.name, *bits);
      if (!matched || *matched) return matched;
    }
    return false;
  }

  // RFC 7208 section 5.2.
  tl::expected<bool, SpfResult> includes(const Term& term) {
    if (!cost()) return tl::unexpected(SpfResult::PermError);
    if (term.value.empty()) return tl::unexpected(broken("\"include\" names no domain"));
    if (dependsOnMessage(term.value)) return false;
    const SpfResult result = check(smtp::toLowerAscii(term.value));
    switch (result) {
      case SpfResult::Pass:
        return true;
      case SpfResult::Fail:
      case SpfResult::SoftFail:
      case SpfResult::Neutral:
        return false;
      case SpfResult::None:
        return tl::unexpected(broken("include:" + term.value + " has no SPF record"));
      case SpfResult::TempError:
      case SpfResult::PermError:
        return tl::unexpected(result);
    }
    return false;
  }

  NameService& names_;
  const IpAddress& address_;
  SpfVerdict& verdict_;
  int void_lookups_ = 0;
};

}  // namespace

std::string_view toString(SpfResult result) {
  switch (result) {
    case SpfResult::None:
      return "none";
    case SpfResult::Neutral:
      return "neutral";
    case SpfResult::Pass:
      return "pass";
    case SpfResult::Fail:
      return "fail";
    case SpfResult::SoftFail:
      return "softfail";
    case SpfResult::TempError:
      return "temperror";
    case SpfResult::PermError:
      return "permerror";
  }
  return "permerror";
}

SpfVerdict checkSpf(NameService& names, const IpAddress& address, const std::string& domain) {
  SpfVerdict verdict;
  verdict.result = Evaluation(names, address, verdict).check(domain);
  return verdict;
}

}  // namespace sluice::relay
