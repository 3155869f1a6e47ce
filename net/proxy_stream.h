// A connection that a proxy made for its client: reads the proxy's header, and from then on is the
// client's own, with the client's addresses.
//
// On its loop's thread. Bytes behind the header wait for the handler that comes.
#pragma once

#include <memory>
#include <string>

#include "net/loop.h"
#include "net/proxy_header.h"
#include "net/stream.h"

namespace sluice::net {

class ProxyStream final : public Stream, private Stream::Handler {
 public:
  // What became of the header. Errors: Malformed, or why the connection ended before it was whole.
  using OnHeader = UniqueFunction<void(Result<void>)>;

  // Takes the stream over. `on_header` is called from the loop, once; it may destroy the stream or
  // hand it on. How long to wait is the owner's business.
  ProxyStream(Loop& loop, std::unique_ptr<Stream> below, OnHeader on_header);
  ~ProxyStream() override;

  // Whether the header names a client; else peer() is the proxy.
  bool clientKnown() const { return header_.known; }

  // Stream.
  void setHandler(Stream::Handler* handler) override;
  void write(std::string_view bytes) override { below_->write(bytes); }
  void write(Slice slice) override { below_->write(std::move(slice)); }
  void flush() override { below_->flush(); }
  size_t unsentBytes() const override { return below_->unsentBytes(); }
  void pauseReading() override;
  void resumeReading() override;
  void finish() override;
  void close() override;
  bool inputWaits() const override { return !carry_.empty() || below_->inputWaits(); }
  Endpoint peer() const override { return header_.known ? header_.source : below_->peer(); }
  Endpoint local() const override { return header_.known ? header_.destination : below_->local(); }

 private:
  void onRead(std::string_view bytes) override;
  void onEnd(const Error& why) override;
  bool onPeerFinished() override;
  void onDrained() override;
  void tell(Result<void> result);
  void deliverLater();
  void deliverCarried();

  Loop& loop_;
  std::unique_ptr<Stream> below_;
  OnHeader on_header_;
  Stream::Handler* handler_ = nullptr;
  ProxyHeaderParser parser_;
  ProxyHeader header_;
  std::string carry_;  // what came behind the header before anyone took it
  bool told_ = false;
  bool paused_ = false;
  bool peer_finished_ = false;  // and nobody has heard
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace sluice::net
