#include "relay/admin/access_guard.h"

#include <algorithm>

#include "net/tls/crypto.h"
#include "relay/admin/api_json.h"

namespace sluice::relay {
namespace {

std::string lowerCase(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// "Name.:8025" is "name", "[::1]:8025" is "::1".
std::string hostName(std::string_view host) {
  if (host.starts_with('[')) {
    return lowerCase(host.substr(1, host.find(']') == host.npos ? host.npos : host.find(']') - 1));
  }
  host = host.substr(0, host.find(':'));
  if (host.ends_with('.')) host.remove_suffix(1);
  return lowerCase(host);
}

bool isWildcard(const IpAddress& address) {
  return address == IpAddress() || address == IpAddress::v6({});
}

bool equalToken(std::string_view authorization, const std::string& token) {
  constexpr std::string_view kScheme = "bearer ";
  if (lowerCase(authorization.substr(0, kScheme.size())) != kScheme) return false;
  return net::constantTimeEqual(authorization.substr(kScheme.size()), token);
}

}  // namespace

AccessGuard::AccessGuard(const Endpoint& listen, std::string token, std::vector<std::string> hosts)
    : listen_(listen) {
  change(std::move(token), std::move(hosts));
}

void AccessGuard::change(std::string token, std::vector<std::string> hosts) {
  for (std::string& host : hosts) host = hostName(host);
  const std::lock_guard lock(mutex_);
  token_ = std::move(token);
  hosts_ = std::move(hosts);
}

bool AccessGuard::knowsHost(std::string_view host) const {
  const std::string name = hostName(host);
  if (name == "localhost") return true;
  if (const auto address = IpAddress::parse(name)) {
    if (*address == listen_.address || isWildcard(listen_.address)) return true;
    if (listen_.address.isLoopback() && address->isLoopback()) return true;
  }
  const std::lock_guard lock(mutex_);
  return std::find(hosts_.begin(), hosts_.end(), name) != hosts_.end();
}

std::optional<net::HttpResponse> AccessGuard::checkSite(const net::HttpRequest& request) const {
  if (!knowsHost(request.host)) {
    return errorResponse(403, "this Host is not known here: add it to [admin] hosts");
  }
  if (request.origin.empty()) return std::nullopt;
  const std::string origin = lowerCase(request.origin);
  const std::string host = lowerCase(request.host);
  if (origin == "http://" + host || origin == "https://" + host) return std::nullopt;
  return errorResponse(403, "requests from other sites are refused");
}

AccessGuard::Failures& AccessGuard::failuresOf(const std::string& client, SteadyTime now) {
  const auto over = [now](const auto& entry) { return now - entry.second.since > kWindow; };
  if (failures_.size() >= kMaxClients) std::erase_if(failures_, over);
  const bool room = failures_.size() < kMaxClients || failures_.contains(client);
  Failures& failures = failures_[room ? client : std::string()];
  if (now - failures.since > kWindow) failures = {now, 0};
  return failures;
}

std::optional<net::HttpResponse> AccessGuard::checkToken(const net::HttpRequest& request,
                                                         SteadyTime now) {
  const std::lock_guard lock(mutex_);
  if (token_.empty()) return std::nullopt;
  const auto known = failures_.find(request.remote);
  if (known != failures_.end() && known->second.count >= kMaxFailures &&
      now - known->second.since <= kWindow) {
    net::HttpResponse refusal = errorResponse(429, "too many wrong tokens: wait a minute");
    refusal.headers.emplace_back("Retry-After", std::to_string(kWindow.count()));
    return refusal;
  }
  if (equalToken(request.authorization, token_)) return std::nullopt;
  if (!request.authorization.empty()) ++failuresOf(request.remote, now).count;
  net::HttpResponse refusal = errorResponse(401, "send Authorization: Bearer TOKEN");
  refusal.headers.emplace_back("WWW-Authenticate", "Bearer");
  return refusal;
}

}  // namespace sluice::relay
