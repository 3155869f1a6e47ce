#include "relay/config/config_names.h"

#include <algorithm>
#include <charconv>

#include "net/http/https_url.h"

namespace sluice::relay {
namespace {

constexpr size_t kMaxNameBytes = 253;  // RFC 1035 section 2.3.4, without the final dot
constexpr size_t kMaxLabelBytes = 63;  // RFC 1035 section 2.3.4
constexpr size_t kMaxConnectorName = 64;
constexpr size_t kFingerprintBytes = 32 * 3 - 1;  // with colons
constexpr size_t kMaxLocalBytes = 64;             // RFC 5321 section 4.5.3.1.1

bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::string lowerCase(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

tl::unexpected<Error> wrong(std::string_view text, std::string_view why) {
  return fail(Errc::Malformed, "\"" + std::string(text) + "\" " + std::string(why));
}

bool isLabel(std::string_view label) {
  return !label.empty() && label.size() <= kMaxLabelBytes && label.front() != '-' &&
         label.back() != '-' && std::all_of(label.begin(), label.end(), [](char c) {
           return isLetter(c) || isDigit(c) || c == '-';
         });
}

std::string_view whyNoHostName(std::string_view text) {
  if (text.empty()) return "is empty";
  if (text.size() > kMaxNameBytes) return "is longer than a host name can be";
  if (std::any_of(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; })) {
    return "is not ASCII: write the name's A-labels (xn--...)";
  }
  if (text.back() == '.') return "ends in a dot";
  std::string_view rest = text;
  while (true) {
    const size_t dot = rest.find('.');
    const std::string_view label = rest.substr(0, dot);
    if (!isLabel(label)) return "is no host name";
    if (dot == std::string_view::npos) {
      return std::all_of(label.begin(), label.end(), isDigit) ? "is no host name" : "";
    }
    rest.remove_prefix(dot + 1);
  }
}

Result<uint16_t> parsePort(std::string_view whole, std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) {
    return wrong(whole, "has no port from 1 to 65535");
  }
  return port;
}

}  // namespace

Result<std::string> parseConnectorName(std::string_view text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return isLetter(c) || isDigit(c) || c == '.' || c == '-' || c == '_';
  });
  if (!plain || text.empty()) return wrong(text, "has other than letters, digits, . - _");
  if (text.size() > kMaxConnectorName) return wrong(text, "is longer than 64 characters");
  return std::string(text);
}

Result<std::string> parseHostName(std::string_view text) {
  const std::string_view why = whyNoHostName(text);
  if (!why.empty()) return wrong(text, why);
  return lowerCase(text);
}

Result<std::string> parseHelo(std::string_view text) {
  if (!text.starts_with('[')) return parseHostName(text);
  if (!text.ends_with(']')) return wrong(text, "lacks the closing bracket");
  std::string_view inside = text.substr(1, text.size() - 2);
  const bool v6 = inside.starts_with("IPv6:");  // RFC 5321 section 4.1.3
  if (v6) inside.remove_prefix(5);
  const auto address = IpAddress::parse(inside);
  if (!address || address->isV4() == v6) return wrong(text, "is no address literal");
  return std::string(text);
}

Result<SmartHost> parseSmartHost(std::string_view text) {
  SmartHost host;
  std::string_view name = text;
  const bool bracket = text.starts_with('[');
  const size_t end_of_name = bracket ? text.find(']') : text.find(':');
  if (bracket && end_of_name == std::string_view::npos) {
    return wrong(text, "lacks the closing bracket");
  }
  if (end_of_name != std::string_view::npos) {
    std::string_view rest = text.substr(end_of_name + (bracket ? 1 : 0));
    name = text.substr(bracket ? 1 : 0, end_of_name - (bracket ? 1 : 0));
    if (rest.find(':', 1) != std::string_view::npos) {
      return wrong(text, "is ambiguous: write an IPv6 address as \"[2001:db8::1]:25\"");
    }
    if (!rest.empty()) {
      if (rest.front() != ':') return wrong(text, "has something behind the bracket");
      ASSIGN_OR_RETURN(host.port, parsePort(text, rest.substr(1)));
    }
  }
  if (const auto address = IpAddress::parse(name)) {
    host.host = address->toString();
    return host;
  }
  if (bracket) return wrong(text, "holds no IP address in its brackets");
  const std::string_view why = whyNoHostName(name);
  if (!why.empty()) return wrong(text, why);
  host.host = lowerCase(name);
  return host;
}

std::string formatSmartHost(const SmartHost& host) {
  const bool v6 = host.host.find(':') != std::string::npos;
  return (v6 ? "[" + host.host + "]" : host.host) + ":" + std::to_string(host.port);
}

Result<std::string> parseAddressSpace(std::string_view text) {
  if (text == "*") return std::string(text);
  if (text.starts_with("*.")) {
    return wrong(
        text, "is no address space: \"" + std::string(text.substr(1)) + "\" means the subdomains");
  }
  const std::string_view why = whyNoHostName(text.starts_with('.') ? text.substr(1) : text);
  if (!why.empty()) return wrong(text, why);
  return lowerCase(text);
}

Result<std::string> parseDestinationMatch(std::string_view text) {
  if (text == "*") return wrong(text, "is no exception: set it in [[send]]");
  if (!text.starts_with("mx:")) return parseAddressSpace(text);
  std::string_view host = text.substr(3);
  if (host.starts_with("*.")) host.remove_prefix(2);
  const std::string_view why = whyNoHostName(host);
  if (!why.empty()) return wrong(text, why);
  return lowerCase(text);
}

Result<std::string> parseFingerprint(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == ':' && out.size() % 3 == 2) continue;
    const char upper = c >= 'a' && c <= 'f' ? static_cast<char>(c - 'a' + 'A') : c;
    if (!isDigit(upper) && (upper < 'A' || upper > 'F')) {
      return wrong(text, "is no SHA-256 fingerprint in hexadecimal digits");
    }
    if (out.size() % 3 == 2) out.push_back(':');
    out.push_back(upper);
  }
  if (out.size() != kFingerprintBytes)
    return wrong(text, "is not as long as a SHA-256 fingerprint");
  return out;
}

Result<std::string> parseHttpsUrl(std::string_view text) {
  const auto url = net::HttpsUrl::parse(text);
  if (!url) return wrong(text, url.error().detail);
  return url->toString();
}

Result<std::string> parseSelector(std::string_view text) {
  // Behind a label with a letter the rule for host names is the rule for selectors.
  const std::string_view why = whyNoHostName(std::string(text) + ".x");
  if (!why.empty()) return wrong(text, "is no selector");
  return lowerCase(text);
}

Result<std::string> parseMailbox(std::string_view text) {
  const size_t at = text.rfind('@');
  if (at == std::string_view::npos || at == 0 || at > kMaxLocalBytes) {
    return wrong(text, "is no mail address");
  }
  const std::string_view local = text.substr(0, at);
  const bool atoms = std::all_of(local.begin(), local.end(), [](char c) {
    return isLetter(c) || isDigit(c) ||
           std::string_view("!#$%&'*+-/=?^_`{|}~.").find(c) != std::string_view::npos;
  });
  if (!atoms || local.front() == '.' || local.back() == '.') {
    return wrong(text, "is no mail address");
  }
  const std::string_view why = whyNoHostName(text.substr(at + 1));
  if (!why.empty()) return wrong(text, why);
  return std::string(local) + "@" + lowerCase(text.substr(at + 1));
}

}  // namespace sluice::relay
