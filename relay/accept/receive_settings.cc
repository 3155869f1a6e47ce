// From the configuration to what a session needs.
#include "relay/accept/receive_settings.h"

#include <algorithm>

namespace sluice::relay {
namespace {

constexpr int kMostRecipients = 65'000;  // an envelope's recipients have 16-bit numbers

// AUTH is offered where there are users, and under TLS unless the connector says otherwise.
void offerAuth(const ReceiveConfig& connector, ReceiveSettings& settings) {
  if (connector.auth == ReceiveAuth::Off || connector.users_file.empty()) return;
  settings.protocol.auth =
      connector.auth_plaintext ? smtp::AuthOffer::Always : smtp::AuthOffer::UnderTls;
  for (const std::string& name : connector.auth_mechanisms) {
    const auto mechanism = sasl::mechanismOf(name);
    if (!mechanism) continue;  // the configuration knows the same names
    settings.mechanisms.push_back(*mechanism);
    const bool bound = *mechanism == sasl::Mechanism::ScramSha256Plus;
    std::string& offered =
        bound ? settings.protocol.auth_mechanisms_bound : settings.protocol.auth_mechanisms;
    offered.append(offered.empty() ? "" : " ").append(nameOf(*mechanism));
  }
}

}  // namespace

std::shared_ptr<const ReceiveSettings> ReceiveSettings::from(
    const Config& config, const ReceiveConfig& connector,
    std::shared_ptr<const net::TlsServerContext> tls) {
  auto settings = std::make_shared<ReceiveSettings>();
  settings->connector = connector;
  settings->hostname = config.hostname;
  settings->postmaster =
      config.postmaster.empty() ? "postmaster@" + config.hostname : config.postmaster;
  settings->drain_timeout = config.queue.drain_timeout;
  smtp::ServerSettings& protocol = settings->protocol;
  protocol.hostname = config.hostname;
  protocol.max_message_bytes = connector.max_message_size;
  protocol.max_recipients = std::min(connector.max_recipients, kMostRecipients);
  protocol.max_errors = connector.max_errors;
  protocol.max_received = static_cast<unsigned>(std::max(0, connector.max_received));
  protocol.reject_bare_newlines = connector.bare_newline == BareNewline::Reject;
  if (connector.tls != ReceiveTls::Off) settings->tls = std::move(tls);
  settings->implicit_tls = settings->tls && connector.tls == ReceiveTls::Implicit;
  protocol.starttls = settings->tls && !settings->implicit_tls;
  // What demands TLS or authentication refuses mail without it, whatever can be offered.
  protocol.starttls_required = connector.tls == ReceiveTls::StartTlsRequired;
  protocol.auth_required = connector.auth == ReceiveAuth::Required;
  offerAuth(connector, *settings);
  return settings;
}

}  // namespace sluice::relay
