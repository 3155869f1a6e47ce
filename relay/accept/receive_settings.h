// What one receive connector does, made from the configuration once and shared by its sessions.
//
// Never changes: a reload makes a new one, and each session keeps what it began with.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "net/sasl/server_exchange.h"
#include "net/smtp/server_protocol.h"
#include "net/tls/tls_server_context.h"
#include "relay/config/config.h"

namespace sluice::relay {

struct ReceiveSettings {
  ReceiveConfig connector;
  smtp::ServerSettings protocol;
  std::string hostname;
  std::vector<sasl::Mechanism> mechanisms;  // of AUTH, as offered
  std::string postmaster;                   // where <postmaster> goes
  milliseconds drain_timeout{30'000};
  std::shared_ptr<const net::TlsServerContext> tls;  // null: none is offered
  bool implicit_tls = false;                         // from the first byte

  // `tls` is null where the connector has no certificate.
  static std::shared_ptr<const ReceiveSettings> from(
      const Config& config, const ReceiveConfig& connector,
      std::shared_ptr<const net::TlsServerContext> tls = nullptr);
};

}  // namespace sluice::relay
