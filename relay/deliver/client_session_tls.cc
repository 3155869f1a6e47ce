// How a connection to a destination comes under TLS, and what becomes of it when it does not.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "relay/deliver/client_session.h"

namespace sluice::relay {
namespace {

constexpr std::chrono::seconds kHandshakeTimeout{30};  // within connect_timeout

}  // namespace

// --- What the host has published -----------------------------------------------------------------

// RFC 7672 section 2.2.2: of a host whose addresses were not validated nobody asks for TLSA
// records, since name servers of domains without DNSSEC often fail at it. Nor where others than the
// domain may have named the host (section 2.2.1).
bool ClientSession::mayHaveTlsa(const net::AddressAnswer& answer) const {
  return hops_->secure && answer.secure && asksForDane(hops_->limits.tls);
}

// The last of `bases` first: RFC 7672 section 2.2.3 prefers the name where aliases end.
void ClientSession::askForTlsa(std::vector<std::string> bases) {
  tlsa_bases_ = std::move(bases);
  const size_t turn = ++tlsa_turn_;
  auto lookup =
      context_.resolver.tlsa(fmt::format("_{}._tcp.{}", host_.port, tlsa_bases_.back()),
                             [this](Result<net::TlsaAnswer> answer) { onTlsa(std::move(answer)); });
  // The answer may have come from within the call, and led to the next question.
  if (turn == tlsa_turn_) tlsa_lookup_ = std::move(lookup);
}

void ClientSession::onTlsa(Result<net::TlsaAnswer> answer) {
  const std::string base = std::move(tlsa_bases_.back());
  tlsa_bases_.pop_back();
  if (!answer && answer.error().code != Errc::NoData && answer.error().code != Errc::NoDomain) {
    // RFC 7672 section 2.1: without an answer there is no telling what a lie would hide.
    noteFailure(
        {Errc::DnsFailed,
         fmt::format("{}: not used, its TLSA records cannot be had or were tampered with: {}",
                     host_.name, answer.error().detail)});
    noteTls(TlsResult::Type::DnssecInvalid, answer.error().detail);
    return nextHost();
  }
  if (answer && answer->secure) {
    // Section 3.2.2; the domain itself counts where the host is its own.
    std::vector<std::string> names{base};
    if (base.ends_with("." + hops_->domain)) names.push_back(hops_->domain);
    dane_ = net::DanePolicy::of(answer->records, std::move(names));
    noteTlsa(base, answer->records);
    return nextAddress();
  }
  if (!tlsa_bases_.empty()) return askForTlsa(std::move(tlsa_bases_));
  nextAddress();
}

TlsDemand ClientSession::demandOf(const HopHost& host) const {
  const PublishedTls published{dane_,
                               hops_->policy ? hops_->policy->mode : DomainTlsPolicy::Mode::None,
                               host.covered, hops_->secure};
  return tlsDemand(hops_->limits.tls, hops_->connector->route, host.port, published, hops_->wish);
}

bool ClientSession::mayUseHost() {
  const TlsDemand demand = demandOf(host_);
  if (!demand.excluded) return true;
  if (hops_->wish == TlsWish::Required && demand.basis == TlsDemand::Basis::Configuration) {
    noteFailure({Errc::Unsupported,
                 host_.name + ": not used, the message demands TLS (REQUIRETLS) and neither DNSSEC "
                              "nor an MTA-STS policy vouches for the host's name"});
  } else {
    noteFailure(
        {Errc::TlsFailed, fmt::format("{}: not used, the MTA-STS policy of {} does not name it",
                                      host_.name, hops_->domain)});
    noteTls(TlsResult::Type::ValidationFailure, "the policy does not name this MX host");
  }
  return false;
}

std::string ClientSession::tlsText() const {
  if (!tls_) return {};
  std::string text(tls_->version());
  if (const auto kept = toString(demand_.basis); !kept.empty()) text.append(" ").append(kept);
  if (hops_->wish == TlsWish::Required) text.append(" requiretls");
  return text;
}

// --- The connection ------------------------------------------------------------------------------

void ClientSession::beginProtocol() {
  demand_ = demandOf(host_);
  if (demand_.may_fall_back && context_.plain_hosts.contains(endpoint_, context_.loop.now())) {
    demand_ = {};
  }
  smtp::ClientOptions options;
  options.helo =
      hops_->connector->helo.empty() ? context_.config->hostname : hops_->connector->helo;
  options.starttls = starttlsFor(demand_.when);
  options.authenticate = !hops_->connector->username.empty();
  protocol_ = std::make_unique<smtp::ClientProtocol>(
      std::move(options), static_cast<smtp::ClientProtocol::Handler&>(*this));
}

void ClientSession::onStartTls() { secure(); }

void ClientSession::secure() {
  state_ = State::Securing;
  deadline_.arm(context_.loop.deadlines(),
                std::min<Duration>(kHandshakeTimeout, hops_->limits.connect_timeout));
  const auto known = context_.tls->find(hops_->connector->name);
  if (known == context_.tls->end()) {  // a reload has taken the connector away
    return onTlsFailed({Errc::Cancelled, "the connector is gone"});
  }
  const net::TlsPeer peer{dane_ ? dane_->base() : host_.name, endpoint_.port, demand_.verify,
                          demand_.only_look, dane_};
  auto stream = net::TlsStream::client(context_.loop, std::move(stream_), known->second, peer,
                                       [this] { onSecured(); });
  if (!stream) return onTlsFailed(stream.error());
  tls_ = stream->get();
  stream_ = std::move(*stream);
  stream_->setHandler(this);
}

void ClientSession::onSecured() {
  state_ = State::Greeting;
  watched_ = 0;
  context_.metricsOf(hops_->connector->name).tls.count(*tls_);
  countPolicy(true);
  noteTlsSuccess();
  protocol_->tlsStarted();
  afterActivity();
}

// Whether the policy that the host, or its domain, has published was kept.
void ClientSession::countPolicy(bool kept) {
  ConnectorMetrics& metrics = context_.metricsOf(hops_->connector->name);
  switch (demand_.basis) {
    case TlsDemand::Basis::Configuration:
      return;
    case TlsDemand::Basis::Dane:
    case TlsDemand::Basis::DaneUnusable:
      return metrics.policies[0][kept ? 0 : 1].add();
    case TlsDemand::Basis::MtaSts:
      return metrics.policies[1][kept ? 0 : 1].add();
  }
}

// `why` says which published policy made a demand of it.
void ClientSession::onPolicyBroken(Error& why) {
  countPolicy(false);
  if (hops_->wish == TlsWish::Required) {
    why.code = Errc::Unsupported;  // for good: RFC 8689 section 4.2.1
    why.detail += " (the message demands TLS: REQUIRETLS)";
    return;
  }
  switch (demand_.basis) {
    case TlsDemand::Basis::Configuration:
      return;
    case TlsDemand::Basis::Dane:
    case TlsDemand::Basis::DaneUnusable:
      why.detail += " (demanded by the host's TLSA records: DANE)";
      return;
    case TlsDemand::Basis::MtaSts:
      why.detail += fmt::format(" (demanded by the MTA-STS policy of {})", hops_->domain);
      return;
  }
}

void ClientSession::onTlsFailed(const Error& why) {
  const Error error{Errc::TlsFailed,
                    fmt::format("{} [{}]: {}", host_.name, endpoint_.toString(), why.detail)};
  if (demand_.may_fall_back) {
    context_.plain_hosts.add(endpoint_, context_.loop.now());
    again_in_clear_ = true;
    context_.log.logLimited("tls_fallback " + host_.name, {LogLevel::Warn,
                                                           "tls_fallback",
                                                           {{"connector", hops_->connector->name},
                                                            {"mx", host_.name},
                                                            {"address", endpoint_.toString()},
                                                            {"reason", why.detail}}});
  }
  hostFailed(error);
}

}  // namespace sluice::relay
