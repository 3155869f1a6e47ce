#include "relay/deliver/next_hops.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <set>

#include "net/smtp/path.h"
#include "relay/route/destination_name.h"

namespace sluice::relay {
namespace {

std::minstd_rand& generator() {
  static thread_local std::minstd_rand generator{std::random_device{}()};
  return generator;
}

HopHost hopOf(const SmartHost& host) {
  HopHost hop{host.host, host.port, {}};
  if (auto address = IpAddress::parse(host.host)) hop.literal = {*address};
  return hop;
}

// What demands more of TLS must not share connections with what demands less: an end of the
// identity, empty where the demand is the connector's own and nothing that is published can change
// it.
std::string tlsMark(const HopSet& hops) {
  std::string mark;
  if (hops.limits.tls != hops.connector->limits.tls) {
    mark += fmt::format(" tls={}", static_cast<int>(hops.limits.tls));
  }
  if (hops.wish == TlsWish::Required) mark += " requiretls";
  if (asksForDane(hops.limits.tls) && hops.secure) mark += " secure";
  if (!hops.policy) return mark;
  mark += hops.policy->mode == DomainTlsPolicy::Mode::Enforce ? " enforce" : " testing";
  std::set<std::string_view> left_out;
  for (const auto& equals : hops.by_preference) {
    for (const HopHost& host : equals) {
      if (!host.covered) left_out.insert(host.name);
    }
  }
  for (const std::string_view name : left_out) mark.append(" -").append(name);
  return mark;
}

}  // namespace

std::vector<HopHost> HopSet::order() const {
  std::vector<HopHost> out;
  for (std::vector<HopHost> equals : by_preference) {
    std::shuffle(equals.begin(), equals.end(), generator());
    std::move(equals.begin(), equals.end(), std::back_inserter(out));
  }
  return out;
}

HopLookup::HopLookup(DeliveryContext& context, const SendConfig& connector, std::string domain,
                     TlsWish wish, Done done)
    : context_(context),
      router_(context.router),
      connector_(connector),
      domain_(std::move(domain)),
      wish_(wish),
      done_(std::move(done)) {}

void HopLookup::start() {
  auto hops = std::make_shared<HopSet>();
  if (connector_.route == Route::SmartHost) {
    for (const SmartHost& host : connector_.smart_hosts) {
      if (!connector_.balance || hops->by_preference.empty()) hops->by_preference.emplace_back();
      hops->by_preference.back().push_back(hopOf(host));
      hops->host_names.push_back(smartHostName(host));
    }
    hops->secure = true;  // the configuration names them
    return finish(std::move(hops));
  }
  if (domain_.starts_with('[')) {  // RFC 5321 section 4.1.3
    const auto address = IpAddress::parse(domain_.substr(1, domain_.size() - 2));
    if (!address) return done_(fail(Errc::NoDomain, "not an address: " + domain_));
    hops->by_preference = {{HopHost{address->toString(), connector_.port, {*address}}}};
    hops->host_names = {address->toString()};
    return finish(std::move(hops));
  }
  lookup_ = context_.resolver.mx(domain_,
                                 [this](Result<net::MxAnswer> answer) { onMx(std::move(answer)); });
}

void HopLookup::onMx(Result<net::MxAnswer> answer) {
  if (!answer) return done_(tl::unexpected<Error>(answer.error()));
  // RFC 5321 section 5.1: if we are among the hosts, only better ones than us are tried.
  size_t usable = answer->hosts.size();
  for (size_t i = 0; i < answer->hosts.size(); ++i) {
    if (smtp::equalsIgnoringCase(answer->hosts[i].name, context_.config->hostname)) {
      while (i > 0 && answer->hosts[i - 1].preference == answer->hosts[i].preference) --i;
      usable = i;
      break;
    }
  }
  if (usable == 0) {
    return done_(fail(Errc::LoopsToUs, "the best MX host of " + domain_ + " is this relay"));
  }
  auto hops = std::make_shared<HopSet>();
  for (size_t i = 0; i < usable; ++i) {
    const net::MxHost& host = answer->hosts[i];
    if (i == 0 || host.preference != answer->hosts[i - 1].preference) {
      hops->by_preference.emplace_back();
    }
    hops->by_preference.back().push_back({host.name, connector_.port, {}});
    hops->host_names.push_back(host.name);
  }
  hops->domain = domain_;
  hops->secure = answer->secure;
  hops->valid_until = answer->valid_until;
  finish(std::move(hops));
}

void HopLookup::finish(std::shared_ptr<HopSet> hops) {
  hops->router = router_;
  hops->connector = &connector_;
  hops->limits = router_->limitsFor(connector_, domain_, hops->host_names);
  hops->limits.tls = underWish(hops->limits.tls, wish_);
  hops->wish = wish_;
  const bool may_have_policy = !hops->domain.empty() && asksForMtaSts(hops->limits.tls);
  if (!may_have_policy || context_.tls_policies == nullptr) return conclude(std::move(hops));
  const std::string domain = hops->domain;
  policy_lookup_ = context_.tls_policies->find(
      domain,
      [this, hops = std::move(hops)](std::shared_ptr<const DomainTlsPolicy> policy) mutable {
        onPolicy(std::move(hops), std::move(policy));
      });
}

void HopLookup::onPolicy(std::shared_ptr<HopSet> hops,
                         std::shared_ptr<const DomainTlsPolicy> policy) {
  if (policy && policy->mode != DomainTlsPolicy::Mode::None) {
    for (auto& equals : hops->by_preference) {
      for (HopHost& host : equals) host.covered = policy->covers(host.name);
    }
    hops->valid_until = std::min(hops->valid_until, policy->valid_until);
    hops->policy = std::move(policy);
  }
  conclude(std::move(hops));
}

void HopLookup::conclude(std::shared_ptr<HopSet> hops) {
  hops->identity = destinationIdentity(connector_.name, hops->host_names) + tlsMark(*hops);
  done_(std::shared_ptr<const HopSet>(std::move(hops)));
}

}  // namespace sluice::relay
