#include "net/tcp_stream.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <string>

namespace sluice::net {
namespace {

constexpr size_t kReadBufferBytes = 64 * 1024;  // shared by all connections of a thread; what a
                                                // session may have to keep of one read
constexpr size_t kMaxBuffers = 64;              // slices given to the kernel at once
constexpr uint64_t kLingerMs = 3000;            // to send the rest after finish()

char* readBuffer() {
  static thread_local const std::unique_ptr<char[]> buffer(new char[kReadBufferBytes]);
  return buffer.get();
}

void giveReadBuffer(uv_handle_t*, size_t, uv_buf_t* out) {
  *out = uv_buf_init(readBuffer(), kReadBufferBytes);
}

Errc codeOf(int uv_error) {
  switch (uv_error) {
    case UV_EOF:
      return Errc::Closed;
    case UV_ECONNRESET:
    case UV_EPIPE:
    case UV_ECONNABORTED:
      return Errc::Reset;
    case UV_ECONNREFUSED:
      return Errc::Refused;
    case UV_ETIMEDOUT:
      return Errc::Timeout;
    case UV_ENETUNREACH:
    case UV_EHOSTUNREACH:
    case UV_EADDRNOTAVAIL:
    case UV_EACCES:
      return Errc::Unreachable;
    case UV_ECANCELED:
      return Errc::Cancelled;
    default:
      return Errc::Io;
  }
}

Error errorOf(int uv_error) { return {codeOf(uv_error), uv_strerror(uv_error)}; }

// The slices of a chain as buffers for the kernel, at most kMaxBuffers of them.
size_t gather(const std::vector<Slice>& slices, std::array<uv_buf_t, kMaxBuffers>& out) {
  size_t count = 0;
  for (const Slice& slice : slices) {
    if (count == kMaxBuffers) break;
    out[count++] = uv_buf_init(const_cast<char*>(slice.bytes.data()),
                               static_cast<unsigned>(slice.bytes.size()));
  }
  return count;
}

// A closed stream that still owes bytes to its peer: sends them and FIN, reads until the peer's FIN
// (so that our close is no reset, which could destroy the last reply on its way), then closes.
class Linger {
 public:
  static void start(UvHandle<uv_tcp_t> handle, ByteChain rest) {
    auto* self = new Linger(std::move(handle), std::move(rest));
    self->begin();
  }

 private:
  Linger(UvHandle<uv_tcp_t> handle, ByteChain rest)
      : handle_(std::move(handle)), timer_(new uv_timer_t), rest_(std::move(rest)) {
    uv_timer_init(handle_->loop, timer_.get());
    handle_->data = this;
    timer_->data = this;
  }

  void begin() {
    uv_timer_start(
        timer_.get(),
        [](uv_timer_t* timer) {
          if (timer->data) delete static_cast<Linger*>(timer->data);
        },
        kLingerMs, 0);
    uv_read_stop(stream());
    uv_read_start(stream(), giveReadBuffer,
                  [](uv_stream_t* stream, ssize_t count, const uv_buf_t*) {
                    auto* self = static_cast<Linger*>(stream->data);
                    if (count < 0 && self) self->onPeerEnd(count == UV_EOF);
                  });
    if (!rest_.empty()) {
      std::vector<uv_buf_t> buffers;
      for (const Slice& slice : rest_.slices()) {
        buffers.push_back(uv_buf_init(const_cast<char*>(slice.bytes.data()),
                                      static_cast<unsigned>(slice.bytes.size())));
      }
      auto* write = new uv_write_t;
      // The request keeps the bytes: it may outlive this object until libuv has cancelled it.
      write->data = new ByteChain(std::move(rest_));
      const int error = uv_write(write, stream(), buffers.data(),
                                 static_cast<unsigned>(buffers.size()), [](uv_write_t* done, int) {
                                   delete static_cast<ByteChain*>(done->data);
                                   delete done;
                                 });
      if (error != 0) {
        delete static_cast<ByteChain*>(write->data);
        delete write;
      }
    }
    auto* shutdown = new uv_shutdown_t;
    const int error = uv_shutdown(shutdown, stream(), [](uv_shutdown_t* done, int) {
      if (auto* self = static_cast<Linger*>(done->handle->data)) self->onAllSent();
      delete done;
    });
    if (error != 0) {
      delete shutdown;
      delete this;
    }
  }

  void onPeerEnd(bool finished) {
    peer_ended_ = true;
    if (all_sent_ || !finished) delete this;
  }

  void onAllSent() {
    all_sent_ = true;
    if (peer_ended_) delete this;
  }

  uv_stream_t* stream() { return reinterpret_cast<uv_stream_t*>(handle_.get()); }

  UvHandle<uv_tcp_t> handle_;
  UvHandle<uv_timer_t> timer_;
  ByteChain rest_;
  bool peer_ended_ = false;
  bool all_sent_ = false;
};

}  // namespace

// Bytes that libuv is writing; they live until its callback.
struct TcpStream::PendingWrite {
  uv_write_t request{};
  ByteChain bytes;
};

Result<UvHandle<uv_tcp_t>> TcpStream::makeHandle(Loop& loop) {
  auto raw = std::make_unique<uv_tcp_t>();
  if (const int error = uv_tcp_init(loop.raw(), raw.get()); error != 0) {
    return fail(Errc::Io, uv_strerror(error));
  }
  return UvHandle<uv_tcp_t>(raw.release());
}

TcpStream::TcpStream(Loop& loop, UvHandle<uv_tcp_t> handle)
    : loop_(loop), handle_(std::move(handle)) {
  handle_->data = this;
}

TcpStream::~TcpStream() { close(); }

Result<std::unique_ptr<TcpStream>> TcpStream::accept(Loop& loop, uv_stream_t* server) {
  ASSIGN_OR_RETURN(auto handle, makeHandle(loop));
  if (const int error = uv_accept(server, reinterpret_cast<uv_stream_t*>(handle.get()));
      error != 0) {
    return fail(Errc::Io, uv_strerror(error));
  }
  std::unique_ptr<TcpStream> stream(new TcpStream(loop, std::move(handle)));
  stream->learnEndpoints();
  stream->startReading();
  return stream;
}

void TcpStream::learnEndpoints() {
  uv_tcp_nodelay(handle_.get(), 1);
  sockaddr_storage address{};
  int length = sizeof address;
  if (uv_tcp_getpeername(handle_.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0) {
    peer_ = Endpoint::from(reinterpret_cast<const sockaddr&>(address));
  }
  length = sizeof address;
  if (uv_tcp_getsockname(handle_.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0) {
    local_ = Endpoint::from(reinterpret_cast<const sockaddr&>(address));
  }
}

void TcpStream::startReading() {
  if (reading_ || peer_finished_ || !handle_) return;
  reading_ = true;
  uv_read_start(reinterpret_cast<uv_stream_t*>(handle_.get()), giveReadBuffer,
                [](uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
                  if (stream->data) static_cast<TcpStream*>(stream->data)->onRead(count, *buffer);
                });
}

void TcpStream::onRead(ssize_t count, const uv_buf_t& buffer) {
  if (count == 0) return;
  if (count == UV_EOF) return onPeerFinished();
  if (count < 0) return endWith(static_cast<int>(count));
  if (handler_) handler_->onRead({buffer.base, static_cast<size_t>(count)});
}

void TcpStream::onPeerFinished() {
  peer_finished_ = true;
  reading_ = false;
  if (!handler_ || !handler_->onPeerFinished()) endWith(UV_EOF);
}

bool TcpStream::inputWaits() const {
  uv_os_fd_t fd;
  if (!handle_ || uv_fileno(reinterpret_cast<const uv_handle_t*>(handle_.get()), &fd) != 0) {
    return false;
  }
  char byte;
  return ::recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void TcpStream::endWith(int uv_error) {
  Handler* handler = handler_;
  close();
  if (handler) handler->onEnd(errorOf(uv_error));
}

void TcpStream::write(std::string_view bytes) {
  out_.append(bytes);
  unsent_bytes_ += bytes.size();
}

void TcpStream::write(Slice slice) {
  unsent_bytes_ += slice.bytes.size();
  out_.append(std::move(slice));
}

void TcpStream::flush() {
  if (unsent_bytes_ > kLowWaterBytes) above_low_water_ = true;
  if (writing_ || out_.empty() || !handle_) return;
  startWrite();
}

void TcpStream::startWrite() {
  auto* stream = reinterpret_cast<uv_stream_t*>(handle_.get());
  std::array<uv_buf_t, kMaxBuffers> buffers;
  while (!out_.empty()) {
    const size_t count = gather(out_.slices(), buffers);
    const int sent = uv_try_write(stream, buffers.data(), static_cast<unsigned>(count));
    if (sent == UV_EAGAIN) break;
    if (sent < 0) {
      // Told later, from the loop: the handler does not expect an end from within flush().
      unsent_bytes_ -= out_.size();
      out_.clear();
      broken_.onDue([this, sent] { endWith(sent); });
      broken_.arm(loop_.deadlines(), Duration{});
      return;
    }
    unsent_bytes_ -= static_cast<size_t>(sent);
    out_.dropFront(static_cast<size_t>(sent));
  }
  if (out_.empty()) return;
  auto pending = std::make_unique<PendingWrite>();
  pending->bytes = std::move(out_);
  out_ = ByteChain();
  pending->request.data = pending.get();
  const size_t count = gather(pending->bytes.slices(), buffers);
  if (count < pending->bytes.slices().size()) {
    // What does not fit into one call goes back to the queue.
    size_t taken = 0;
    for (size_t i = 0; i < count; ++i) taken += buffers[i].len;
    out_ = pending->bytes;
    out_.dropFront(taken);
    pending->bytes.keepFront(taken);
  }
  const int error = uv_write(
      &pending->request, stream, buffers.data(), static_cast<unsigned>(count),
      [](uv_write_t* request, int status) {
        const std::unique_ptr<PendingWrite> done(static_cast<PendingWrite*>(request->data));
        if (auto* self = static_cast<TcpStream*>(request->handle->data)) {
          self->onWritten(status, done->bytes.size());
        }
      });
  if (error == 0) {
    writing_ = true;
    (void)pending.release();
  }
}

void TcpStream::onWritten(int status, size_t bytes) {
  writing_ = false;
  unsent_bytes_ -= bytes;
  if (status < 0) return endWith(status);
  if (!out_.empty()) startWrite();
  if (above_low_water_ && unsent_bytes_ <= kLowWaterBytes) {
    above_low_water_ = false;
    if (handler_) handler_->onDrained();
  }
}

void TcpStream::pauseReading() {
  if (!reading_ || !handle_) return;
  reading_ = false;
  uv_read_stop(reinterpret_cast<uv_stream_t*>(handle_.get()));
}

void TcpStream::resumeReading() { startReading(); }

void TcpStream::finish() {
  if (!handle_) return;
  handler_ = nullptr;
  if (!writing_) startWrite();
  Linger::start(std::move(handle_), std::move(out_));
  out_ = ByteChain();
}

void TcpStream::close() {
  handler_ = nullptr;
  reading_ = false;
  broken_.cancel();
  handle_.reset();
}

TcpConnector::TcpConnector(Loop& loop, const Endpoint& to, std::optional<IpAddress> from,
                           Duration timeout, Done done)
    : loop_(loop), done_(std::move(done)) {
  deadline_.onDue([this] {
    finish(pending_error_ ? sluice::fail(pending_error_->code, pending_error_->detail)
                          : sluice::fail(Errc::Timeout, "no answer to connect"));
  });
  if (const int error = begin(to, from); error != 0) {
    pending_error_ = errorOf(error);
    deadline_.arm(loop_.deadlines(), Duration{});
  } else {
    deadline_.arm(loop_.deadlines(), timeout);
  }
}

int TcpConnector::begin(const Endpoint& to, std::optional<IpAddress> from) {
  auto handle = TcpStream::makeHandle(loop_);
  if (!handle) return UV_ENOMEM;
  stream_.reset(new TcpStream(loop_, std::move(*handle)));
  sockaddr_storage address{};
  if (from) {
    Endpoint{*from, 0}.to(address);
    const int error =
        uv_tcp_bind(stream_->handle_.get(), reinterpret_cast<const sockaddr*>(&address), 0);
    if (error != 0) return error;
  }
  to.to(address);
  request_ = new uv_connect_t;
  request_->data = this;
  const int error =
      uv_tcp_connect(request_, stream_->handle_.get(), reinterpret_cast<const sockaddr*>(&address),
                     [](uv_connect_t* request, int status) {
                       const std::unique_ptr<uv_connect_t> owned(request);
                       auto* self = static_cast<TcpConnector*>(request->data);
                       if (!self) return;
                       self->request_ = nullptr;
                       if (status != 0) return self->finish(tl::unexpected<Error>(errorOf(status)));
                       self->stream_->learnEndpoints();
                       self->stream_->startReading();
                       self->finish(std::move(self->stream_));
                     });
  if (error != 0) {
    delete request_;
    request_ = nullptr;
  }
  return error;
}

TcpConnector::~TcpConnector() {
  if (request_) request_->data = nullptr;
}

void TcpConnector::finish(Result<std::unique_ptr<TcpStream>> result) {
  deadline_.cancel();
  if (request_) {
    request_->data = nullptr;
    request_ = nullptr;
  }
  if (!result) stream_.reset();
  Done done = std::move(done_);
  done(std::move(result));  // may destroy this
}

}  // namespace sluice::net
