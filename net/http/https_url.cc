#include "net/http/https_url.h"

#include <algorithm>
#include <charconv>

#include "net/base/ip_address.h"
#include "net/dns/dns_message.h"

namespace sluice::net {
namespace {

constexpr std::string_view kScheme = "https://";
constexpr size_t kMaxUrlBytes = 2000;

std::string lowerCase(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

Result<uint16_t> parsePort(std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) {
    return fail(Errc::Malformed, "\"" + std::string(text) + "\" is no port");
  }
  return port;
}

}  // namespace

Result<HttpsUrl> HttpsUrl::parse(std::string_view text) {
  if (text.size() > kMaxUrlBytes) return fail(Errc::Malformed, "the URL is too long");
  if (lowerCase(text.substr(0, kScheme.size())) != kScheme) {
    return fail(Errc::Malformed, "must begin with https://");
  }
  const bool printable =
      std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (!printable || text.find_first_of("#\\\"<>") != std::string_view::npos) {
    return fail(Errc::Malformed, "has characters that no URL has");
  }
  text.remove_prefix(kScheme.size());
  const size_t authority_end = std::min(text.find_first_of("/?"), text.size());
  std::string_view authority = text.substr(0, authority_end);
  if (authority.find('@') != std::string_view::npos) {
    return fail(Errc::Malformed, "must not hold a user name or a password");
  }
  HttpsUrl url;
  const std::string_view target = text.substr(authority_end);
  url.target = (target.starts_with('/') ? "" : "/") + std::string(target);
  const size_t host_end = authority.starts_with('[')
                              ? authority.find(']') + 1
                              : std::min(authority.find(':'), authority.size());
  std::string_view host = authority.substr(0, host_end);
  authority.remove_prefix(host.size());
  if (!authority.empty()) {
    if (!authority.starts_with(':')) return fail(Errc::Malformed, "has no host");
    ASSIGN_OR_RETURN(url.port, parsePort(authority.substr(1)));
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  url.host = lowerCase(host);
  if (!isHostName(url.host) && !IpAddress::parse(url.host)) {
    return fail(Errc::Malformed, "\"" + std::string(host) + "\" is no host");
  }
  return url;
}

std::string HttpsUrl::authority() const {
  std::string out = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (port != HttpsUrl{}.port) out += ":" + std::to_string(port);
  return out;
}

}  // namespace sluice::net
