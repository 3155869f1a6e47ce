// What does a host say before it is given mail: greeting, offers, TLS, certificate, credentials?
//
// Speaks as delivery does, by the same protocol, TLS and mechanisms, and takes leave before MAIL.
// All probes of a call run at once on a loop that nothing else runs on meanwhile.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/loop.h"
#include "net/smtp/client_protocol.h"
#include "net/tls/certificate_facts.h"
#include "net/tls/tls_client_context.h"
#include "relay/config/config.h"
#include "relay/deliver/tls_policy.h"

namespace sluice::relay {

struct ProbeTarget {
  std::string host;  // a name, or an address as text
  Endpoint endpoint;
  std::optional<IpAddress> source;
  std::string helo;
  TlsDemand demand;  // only when TLS is begun counts: any certificate is looked at
  std::shared_ptr<net::TlsClientContext> tls;
  const SendConfig* credentials = nullptr;  // log in as this connector does; outlives the call
  std::chrono::milliseconds patience{
      5000};  // for the connection, for the handshake, for each reply
};

struct ProbeResult {
  enum class Stage : uint8_t { Connect, Greeting, Hello, Tls, Auth, Done };

  Stage reached = Stage::Connect;      // where it stands, or stopped
  std::optional<Error> failure;        // nothing: all went well
  std::optional<smtp::Reply> refusal;  // the reply that was the failure
  std::string greeting;                // first word of it; hostile
  smtp::ServerOffer offer;             // the last one that was made
  bool starttls_offered = false;
  std::string tls_version;  // empty: in clear
  std::optional<net::ShownCertificate> certificate;
  bool logged_in = false;
  std::optional<IpAddress> local;  // our side
};

// In the order of the targets.
std::vector<ProbeResult> probeAll(net::Loop& loop, const std::vector<ProbeTarget>& targets);

}  // namespace sluice::relay
