// Which way does mail for a domain leave: by which send connectors, under which queue key, within
// which limits?
#include "relay/route/router.h"

#include <algorithm>

#include "relay/route/redirected_key.h"

namespace sluice::relay {
namespace {

constexpr char kConnectorKeyMark = '=';  // no domain begins with it
constexpr std::string_view kMxMark = "mx:";

template <class Value>
void overlayOne(Value& value, const std::optional<Value>& exception) {
  if (exception) value = *exception;
}

void overlay(DeliveryLimits& limits, const DestinationConfig& exception) {
  overlayOne(limits.tls, exception.tls);
  overlayOne(limits.max_connections, exception.max_connections);
  overlayOne(limits.max_messages_per_connection, exception.max_messages_per_connection);
  overlayOne(limits.max_recipients_per_transaction, exception.max_recipients_per_transaction);
  overlayOne(limits.rate, exception.rate);
  overlayOne(limits.connect_timeout, exception.connect_timeout);
  overlayOne(limits.command_timeout, exception.command_timeout);
  overlayOne(limits.final_reply_timeout, exception.final_reply_timeout);
  overlayOne(limits.idle_timeout, exception.idle_timeout);
  overlayOne(limits.host_backoff, exception.host_backoff);
}

bool isExactHost(std::string_view glob) { return glob.find('*') == std::string_view::npos; }

}  // namespace

Router::Router(std::vector<SendConfig> connectors, std::vector<DestinationConfig> destinations)
    : connectors_(std::move(connectors)), exceptions_(std::move(destinations)) {
  AddressSpaceMap<std::vector<CostedConnector>> costed;
  for (const SendConfig& connector : connectors_) {
    by_name_.emplace(connector.name, &connector);
    in_order_.push_back(&connector);
    addSpaces(connector, costed);
  }
  for (auto& [space, choices] : costed) {
    std::sort(choices.begin(), choices.end(), [](const auto& a, const auto& b) {
      return a.cost != b.cost ? a.cost < b.cost : a.connector->name < b.connector->name;
    });
    auto& ordered = spaces_[space];
    for (const CostedConnector& choice : choices) ordered.push_back(choice.connector);
  }
  for (size_t i = 0; i < exceptions_.size(); ++i) addException(i);
  std::stable_sort(mx_exceptions_.begin(), mx_exceptions_.end(),
                   [](const MxPattern& a, const MxPattern& b) {
                     return std::pair(isExactHost(a.glob), a.glob.size()) <
                            std::pair(isExactHost(b.glob), b.glob.size());
                   });
}

void Router::addSpaces(const SendConfig& connector,
                       AddressSpaceMap<std::vector<CostedConnector>>& costed) const {
  for (const AddressSpace& space : connector.address_spaces) {
    auto& choices = costed[space.domain];
    // A connector that names a space twice counts once, at the lower cost. Its entry is the last.
    if (!choices.empty() && choices.back().connector == &connector) {
      choices.back().cost = std::min(choices.back().cost, space.cost);
    } else {
      choices.push_back({space.cost, &connector});
    }
  }
}

void Router::addException(size_t index) {
  for (const std::string& match : exceptions_[index].match) {
    if (match.starts_with(kMxMark)) {
      mx_exceptions_.push_back({match.substr(kMxMark.size()), index});
    } else {
      domain_exceptions_[match].push_back(index);
    }
  }
}

Result<RouteChoice> Router::route(std::string_view domain) const {
  if (const auto* connectors = spaces_.find(domain)) return RouteChoice{*connectors};
  return fail(Errc::NotFound, "no send connector takes this domain");
}

Result<queue::QueueKey> Router::queueKey(std::string_view domain, TlsWish wish) const {
  ASSIGN_OR_RETURN(const RouteChoice choice, route(domain));
  if (choice.best().route == Route::Mx) return withWish(domain, wish);
  return withWish(kConnectorKeyMark + choice.best().name, wish);
}

Result<RouteChoice> Router::routeOfKey(std::string_view marked) const {
  const std::string_view key = withoutWish(marked);
  if (!key.starts_with(kConnectorKeyMark)) return route(key);
  const auto redirected = parseRedirectedKey(key);
  const SendConfig* named = connector(redirected ? redirected->connector : key.substr(1));
  if (named == nullptr) return fail(Errc::NotFound, "no send connector of this name");
  const auto index = static_cast<size_t>(named - connectors_.data());
  return RouteChoice{std::span(in_order_).subspan(index, 1)};
}

const SendConfig* Router::connector(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

DeliveryLimits Router::limitsFor(const SendConfig& connector, std::string_view domain,
                                 std::span<const std::string> mx_hosts) const {
  DeliveryLimits limits = connector.limits;
  for (const MxPattern& pattern : mx_exceptions_) {
    const bool matches = std::any_of(mx_hosts.begin(), mx_hosts.end(), [&](const auto& host) {
      return hostMatches(pattern.glob, host);
    });
    if (matches) overlay(limits, exceptions_[pattern.exception]);
  }
  // Found from the most specific on, applied the other way round.
  std::vector<const std::vector<size_t>*> matches;
  domain_exceptions_.visitMatches(domain, [&matches](const std::vector<size_t>& exceptions) {
    matches.push_back(&exceptions);
    return true;
  });
  for (auto exceptions = matches.rbegin(); exceptions != matches.rend(); ++exceptions) {
    for (const size_t index : **exceptions) overlay(limits, exceptions_[index]);
  }
  return limits;
}

bool hostMatches(std::string_view pattern, std::string_view host) {
  // On a mismatch only the last "*" need take one more character, so there is no deep backtracking.
  size_t p = 0;
  size_t h = 0;
  size_t after_star = std::string_view::npos;  // in pattern
  size_t star_ends = 0;                        // in host: where the last "*" stops, for now
  while (h < host.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      after_star = ++p;
      star_ends = ++h;
    } else if (p < pattern.size() && pattern[p] == host[h]) {
      ++p;
      ++h;
    } else if (after_star != std::string_view::npos) {
      p = after_star;
      h = ++star_ends;
    } else {
      return false;
    }
  }
  return p == pattern.size() && !host.empty();
}

}  // namespace sluice::relay
