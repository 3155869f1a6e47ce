#include "relay/config/capabilities.h"

#include "relay/config/checks.h"

namespace sluice::relay {
namespace {

constexpr std::string_view kNotYet = "not supported by this version yet";

// Reports `key` if it demands what is not there.
void demand(bool demanded, bool there, const SectionCheck& section, const std::string& key) {
  if (demanded && !there) section.mistake(key, std::string(kNotYet));
}

void checkReceive(const ReceiveConfig& receive, const Capabilities& can,
                  const SectionCheck& section) {
  const bool tls =
      receive.tls == ReceiveTls::StartTlsRequired || receive.tls == ReceiveTls::Implicit;
  demand(tls, can.receive_tls, section, "tls");
  demand(!receive.tls_certificate.empty(), can.receive_tls, section, "tls_certificate");
  demand(!receive.tls_client_ca.empty(), can.receive_tls, section, "tls_client_ca");
  demand(receive.auth == ReceiveAuth::Required, can.receive_auth, section, "auth");
  demand(!receive.users_file.empty(), can.receive_auth, section, "users_file");
}

void checkSendTls(SendTls tls, const Capabilities& can, const SectionCheck& section) {
  switch (tls) {
    case SendTls::Off:
    case SendTls::Opportunistic:
      break;
    case SendTls::Required:
    case SendTls::Verify:
      demand(true, can.send_tls, section, "tls");
      break;
    case SendTls::Dane:
      demand(true, can.dane, section, "tls");
      break;
    case SendTls::MtaSts:
      demand(true, can.mta_sts, section, "tls");
      break;
  }
}

void checkSend(const SendConfig& send, const Capabilities& can, const SectionCheck& section) {
  checkSendTls(send.limits.tls, can, section);
  demand(!send.tls_ca_file.empty(), can.send_tls, section, "tls_ca_file");
  demand(!send.username.empty(), can.send_auth, section, "username");
}

}  // namespace

void checkCapabilities(const Config& config, const ConfigPlaces& places,
                       const Capabilities& capabilities, Mistakes& mistakes) {
  for (size_t i = 0; i < config.receive.size(); ++i) {
    checkReceive(config.receive[i], capabilities, {places.receive[i], mistakes, "[[receive]]"});
  }
  for (size_t i = 0; i < config.send.size(); ++i) {
    checkSend(config.send[i], capabilities, {places.send[i], mistakes, "[[send]]"});
  }
  for (size_t i = 0; i < config.destination.size(); ++i) {
    if (!config.destination[i].tls) continue;
    checkSendTls(*config.destination[i].tls, capabilities,
                 {places.destination[i], mistakes, "[[destination]]"});
  }
  for (size_t i = 0; i < config.dkim.size(); ++i) {
    demand(true, capabilities.dkim, {places.dkim[i], mistakes, "[[dkim]]"}, "domain");
  }
}

}  // namespace sluice::relay
