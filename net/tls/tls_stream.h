// A TLS connection as a stream, over another stream that carries its records.
//
// Nothing blocks and nothing reads a clock: how long a handshake may take is the owner's business.
// Plaintext waits unsealed while the stream below is full, so that at most its low-water mark and a
// record are there twice. Idle, it holds no buffers. What the far end sends is bounded by
// BoringSSL: 16 KiB records, 64 KiB of certificates, a few empty records, no renegotiation.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/loop.h"
#include "net/stream.h"
#include "net/tls/certificate_facts.h"
#include "net/tls/tls_client_context.h"
#include "net/tls/tls_handles.h"
#include "net/tls/tls_server_context.h"

namespace sluice::net {

class TlsStream final : public Stream, private Stream::Handler {
 public:
  // Takes the stream over, and begins the handshake. `on_ready` is called from the loop when it
  // is done, once, before the first onRead(); if it fails, the handler's onEnd() says why:
  // TlsFailed where TLS itself failed, else as the stream below.
  static std::unique_ptr<TlsStream> server(Loop& loop, std::unique_ptr<Stream> below,
                                           std::shared_ptr<const TlsServerContext> context,
                                           Task on_ready);
  // Errors: InvalidArgument (a host that cannot be a name; the stream is gone).
  static Result<std::unique_ptr<TlsStream>> client(Loop& loop, std::unique_ptr<Stream> below,
                                                   std::shared_ptr<TlsClientContext> context,
                                                   const TlsPeer& peer, Task on_ready);
  ~TlsStream() override;

  // What was agreed; once it is ready.
  bool ready() const { return ready_; }
  std::string_view version() const { return version_; }  // "TLSv1.3"
  std::string_view cipher() const { return cipher_; }    // "TLS_AES_128_GCM_SHA256"
  bool resumed() const { return resumed_; }
  // A client's, also when the handshake has failed: what is wrong with the server's certificate.
  PeerFault peerFault() const { return TlsClientContext::faultOf(*connection_); }
  // A client's: what the server has shown, judged for `host`; nothing of a session that was
  // resumed.
  std::optional<ShownCertificate> shownCertificate(const std::string& host) const {
    return resumed_ ? std::nullopt : shownOn(*connection_, host);
  }
  // A server's: the client has a certificate of the client CA, or one whose fingerprint is listed.
  bool trustedClient() const { return trusted_client_; }
  // What ties an exchange of credentials to this connection (RFC 9266, tls-exporter). Nothing under
  // TLS 1.2, where clients that bind mean another one.
  std::optional<std::string> exporter() const;

  // Stream. What is written before it is ready waits. finish() says close_notify.
  void setHandler(Stream::Handler* handler) override { handler_ = handler; }
  void write(std::string_view bytes) override { out_.append(bytes); }
  void write(Slice slice) override { out_.append(std::move(slice)); }
  void flush() override;
  size_t unsentBytes() const override { return out_.size() + below_->unsentBytes(); }
  void pauseReading() override;
  void resumeReading() override;
  void finish() override;
  void close() override;
  bool inputWaits() const override { return !carry_.empty() || below_->inputWaits(); }
  Endpoint peer() const override { return below_->peer(); }
  Endpoint local() const override { return below_->local(); }

 private:
  struct Records;  // how BoringSSL reads and writes
  TlsStream(Loop& loop, std::unique_ptr<Stream> below, SslHandle connection,
            std::shared_ptr<const void> context, Task on_ready);

  // Of the stream below.
  void onRead(std::string_view bytes) override;
  void onEnd(const Error& why) override;
  bool onPeerFinished() override;
  void onDrained() override;

  void shakeHands();
  void learnWhatWasAgreed();
  void takeCarried();
  void take();
  bool takeSome();
  bool keepsWriting();
  void seal(bool all);
  bool sealRecord();
  void endWith(const Error& why);

  Loop& loop_;
  std::shared_ptr<const void> context_;  // outlives the connection
  std::unique_ptr<Stream> below_;
  SslHandle connection_;
  Task on_ready_;
  Stream::Handler* handler_ = nullptr;
  std::string_view input_;  // records to be read, during a call
  std::string carry_;       // records that came before reading was paused
  ByteChain out_;           // plaintext to be sealed
  std::string_view version_;
  std::string_view cipher_;
  bool ready_ = false;
  bool resumed_ = false;
  bool trusted_client_ = false;
  bool paused_ = false;
  bool peer_finished_ = false;
  bool above_low_water_ = false;
  bool over_ = false;
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // for work deferred to the next turn
};

}  // namespace sluice::net
