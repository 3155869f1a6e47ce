// How a connection to a destination comes under TLS, and what becomes of it when it does not.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "relay/deliver/client_session.h"

namespace sluice::relay {
namespace {

constexpr std::chrono::seconds kHandshakeTimeout{30};  // within connect_timeout

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

}  // namespace

void ClientSession::beginProtocol() {
  demand_ = tlsDemand(hops_->limits.tls, hops_->connector->route, endpoint_.port);
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
  auto stream =
      net::TlsStream::client(context_.loop, std::move(stream_), known->second,
                             {host_.name, endpoint_.port, demand_.verify}, [this] { onSecured(); });
  if (!stream) return onTlsFailed(stream.error());
  tls_ = stream->get();
  stream_ = std::move(*stream);
  stream_->setHandler(this);
}

void ClientSession::onSecured() {
  state_ = State::Greeting;
  watched_ = 0;
  context_.metricsOf(hops_->connector->name).tls.count(*tls_);
  protocol_->tlsStarted();
  afterActivity();
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
