#include "relay/deliver/tls_policy.h"

namespace sluice::relay {
namespace {

using When = TlsDemand::When;
using Basis = TlsDemand::Basis;

constexpr uint16_t kSubmissionsPort = 465;

TlsDemand opportunistic() {
  TlsDemand demand;
  demand.when = When::IfOffered;
  demand.may_fall_back = true;
  return demand;
}

// RFC 7672 section 2.2: records that nobody can use still say that there is TLS.
TlsDemand byDane(const net::DanePolicy& dane) {
  TlsDemand demand;
  demand.when = When::Always;
  demand.basis = dane.usable() ? Basis::Dane : Basis::DaneUnusable;
  return demand;
}

// RFC 8461 section 2: where DANE can judge, nothing else does.
bool daneDecides(const PublishedTls& published) {
  if (!published.dane) return false;
  return published.dane->usable() || published.mode != DomainTlsPolicy::Mode::Enforce;
}

// RFC 8461 section 5. Testing: mail goes as if there were no policy, but it is seen what would be.
TlsDemand byMtaSts(const PublishedTls& published) {
  using Mode = DomainTlsPolicy::Mode;
  TlsDemand demand = opportunistic();
  if (published.mode == Mode::Testing) demand.only_look = true;
  if (published.mode != Mode::Enforce) return demand;
  demand = {};
  demand.when = When::Always;
  demand.basis = Basis::MtaSts;
  demand.verify = true;
  demand.excluded = !published.covered;
  return demand;
}

}  // namespace

bool asksForDane(SendTls policy) { return policy == SendTls::Dane || policy == SendTls::MtaSts; }

bool asksForMtaSts(SendTls policy) { return policy == SendTls::MtaSts; }

SendTls underWish(SendTls policy, TlsWish wish) {
  switch (wish) {
    case TlsWish::None:
      return policy;
    case TlsWish::Optional:
      return asksForDane(policy) ? SendTls::Opportunistic : policy;
    case TlsWish::Required:
      return SendTls::MtaSts;  // which asks for DANE, too
  }
  return policy;
}

TlsDemand tlsDemand(SendTls policy, Route route, uint16_t port, const PublishedTls& published,
                    TlsWish wish) {
  TlsDemand demand;
  switch (policy) {
    case SendTls::Off:
      return demand;
    case SendTls::Opportunistic:
      demand = opportunistic();
      break;
    case SendTls::Required:
      demand.when = When::Always;
      break;
    case SendTls::Verify:
      demand.when = When::Always;
      demand.verify = true;
      break;
    case SendTls::Dane:
      demand = published.dane ? byDane(*published.dane) : opportunistic();
      break;
    case SendTls::MtaSts:
      if (daneDecides(published)) {
        demand = byDane(*published.dane);
      } else if (route == Route::Mx) {
        demand = byMtaSts(published);
      } else {  // no domain speaks for a smart host: never less than what was meant
        demand.when = When::Always;
        demand.verify = true;
      }
      break;
  }
  if (wish == TlsWish::Required && !demand.authenticates()) {  // nothing published vouches for it
    demand = {};
    demand.when = When::Always;
    demand.verify = true;
    demand.excluded = !published.proven_name;
  }
  if (route == Route::SmartHost && port == kSubmissionsPort) {
    demand.when = When::FromTheStart;
    demand.may_fall_back = false;  // nobody speaks plaintext there
  }
  return demand;
}

smtp::StartTls starttlsFor(TlsDemand::When when) {
  switch (when) {
    case TlsDemand::When::Never:
    case TlsDemand::When::FromTheStart:
      return smtp::StartTls::Never;
    case TlsDemand::When::IfOffered:
      return smtp::StartTls::IfOffered;
    case TlsDemand::When::Always:
      return smtp::StartTls::Required;
  }
  return smtp::StartTls::Required;
}

std::string_view toString(TlsDemand::Basis basis) {
  switch (basis) {
    case TlsDemand::Basis::Dane:
      return "dane";
    case TlsDemand::Basis::MtaSts:
      return "mta-sts";
    case TlsDemand::Basis::Configuration:
    case TlsDemand::Basis::DaneUnusable:
      return "";
  }
  return "";
}

void PlainHosts::add(const Endpoint& host, SteadyTime now) {
  if (until_.size() >= kMaxHosts && !until_.contains(host)) until_.erase(until_.begin());
  until_[host] = now + kRemembered;
}

bool PlainHosts::contains(const Endpoint& host, SteadyTime now) {
  const auto found = until_.find(host);
  if (found == until_.end()) return false;
  if (found->second > now) return true;
  until_.erase(found);
  return false;
}

}  // namespace sluice::relay
