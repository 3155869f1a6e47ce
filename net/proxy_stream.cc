#include "net/proxy_stream.h"

#include <utility>

namespace sluice::net {

ProxyStream::ProxyStream(Loop& loop, std::unique_ptr<Stream> below, OnHeader on_header)
    : loop_(loop), below_(std::move(below)), on_header_(std::move(on_header)) {
  below_->setHandler(this);
}

ProxyStream::~ProxyStream() = default;

// The stream cannot be handed on from within its own callback.
void ProxyStream::tell(Result<void> result) {
  told_ = true;
  below_->pauseReading();  // what comes now is for whoever takes the stream
  loop_.defer([this, alive = std::weak_ptr<char>(alive_), result = std::move(result)]() mutable {
    if (alive.expired()) return;
    OnHeader on_header = std::move(on_header_);
    if (on_header) on_header(std::move(result));
  });
}

void ProxyStream::setHandler(Stream::Handler* handler) {
  handler_ = handler;
  if (!handler_) return;
  if (!paused_) below_->resumeReading();
  if (!carry_.empty() || peer_finished_) deliverLater();
}

void ProxyStream::onRead(std::string_view bytes) {
  if (!told_) {
    auto header = parser_.feed(bytes);
    if (!header) return tell(tl::unexpected<Error>(header.error()));
    if (!*header) return;
    header_ = **header;
    carry_.assign(bytes);
    return tell({});
  }
  if (!carry_.empty() || !handler_ || paused_) {
    carry_.append(bytes);
    return;
  }
  handler_->onRead(bytes);
}

void ProxyStream::deliverLater() {
  loop_.defer([this, alive = std::weak_ptr<char>(alive_)] {
    if (!alive.expired()) deliverCarried();
  });
}

void ProxyStream::deliverCarried() {
  if (!handler_ || paused_) return;
  const std::weak_ptr<char> alive = alive_;
  if (!carry_.empty()) {
    const std::string bytes = std::exchange(carry_, {});
    handler_->onRead(bytes);
    if (alive.expired()) return;
  }
  if (!std::exchange(peer_finished_, false) || !handler_) return;
  if (!handler_->onPeerFinished() && !alive.expired() && handler_) {
    std::exchange(handler_, nullptr)->onEnd({Errc::Closed, "end of file"});
  }
}

void ProxyStream::onEnd(const Error& why) {
  if (!told_) return tell(tl::unexpected<Error>(why));
  if (handler_) std::exchange(handler_, nullptr)->onEnd(why);
}

bool ProxyStream::onPeerFinished() {
  if (!told_) return false;
  if (carry_.empty() && handler_) return handler_->onPeerFinished();
  peer_finished_ = true;
  return true;
}

void ProxyStream::onDrained() {
  if (handler_) handler_->onDrained();
}

void ProxyStream::pauseReading() {
  paused_ = true;
  below_->pauseReading();
}

void ProxyStream::resumeReading() {
  paused_ = false;
  below_->resumeReading();
  if (!carry_.empty() || peer_finished_) deliverLater();
}

void ProxyStream::finish() {
  handler_ = nullptr;
  below_->finish();
}

void ProxyStream::close() {
  handler_ = nullptr;
  below_->close();
}

}  // namespace sluice::net
