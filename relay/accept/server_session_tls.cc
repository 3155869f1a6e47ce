// How a session comes under TLS, and what it then knows of its client.
#include "relay/accept/server_session.h"

#include <algorithm>
#include <utility>

namespace sluice::relay {
namespace {

constexpr milliseconds kHandshakeTimeout{30'000};

}  // namespace

// 220 is on its way, or TLS is implicit. What came in clear has been answered or refused: the
// protocol holds none of it.
void ServerSession::startTls() {
  auto stream = net::TlsStream::server(context_.loop, std::move(stream_), settings_->tls,
                                       [this] { onTlsReady(); });
  handshaking_ = true;
  handshake_due_ =
      context_.loop.now() + std::min(kHandshakeTimeout, settings_->connector.command_timeout);
  tls_ = stream.get();
  stream_ = std::move(stream);
  stream_->setHandler(this);
}

void ServerSession::onTlsReady() {
  handshaking_ = false;
  context_.metrics.tls.count(*tls_);
  protocol_.tlsStarted(tls_->exporter().has_value());
  auth_.reset();
  login_.reset();
  protocol_.greet();   // with implicit TLS; else it has
  protocol_.resume();  // a drain may have come meanwhile
  afterInput();
}

void ServerSession::onTlsDue() {
  if (context_.loop.now() < handshake_due_) return armDeadline(handshake_due_);
  context_.metrics.timeouts.add();
  logTlsFailed("no handshake in time");
  client_gone_ = true;
  finish();
}

void ServerSession::logTlsFailed(const std::string& reason) {
  context_.log.logLimited(
      "tls_failed",
      {LogLevel::Info,
       "tls_failed",
       {{"connector", settings_->connector.name}, {"address", clientText()}, {"reason", reason}}});
}

void ServerSession::describeTls(TraceInfo& info) const {
  info.tls = protocol_.tls();
  if (!info.tls || !tls_) return;
  info.tls_version = tls_->version();
  info.tls_cipher = tls_->cipher();
}

bool ServerSession::trustedByCertificate() const {
  // What a proxy shows is its own, and not of the client that it speaks for.
  return !spoken_for_ && tls_ && protocol_.tls() && tls_->trustedClient();
}

}  // namespace sluice::relay
