// A TCP connection on a libuv loop: connect or accept, read into the loop's shared buffer, write
// slices without copying.
#pragma once

#include <uv.h>

#include <memory>
#include <optional>

#include "net/loop.h"
#include "net/stream.h"
#include "net/uv_handle.h"

namespace sluice::net {

class TcpStream final : public Stream {
 public:
  // unsentBytes() at which onDrained() is told, once it had been above it.
  static constexpr size_t kLowWaterBytes = 256 * 1024;

  // Takes a connection that waits on `server`. Errors: Io.
  static Result<std::unique_ptr<TcpStream>> accept(Loop& loop, uv_stream_t* server);

  ~TcpStream() override;
  void setHandler(Handler* handler) override { handler_ = handler; }
  void write(std::string_view bytes) override;
  void write(Slice slice) override;
  void flush() override;
  size_t unsentBytes() const override { return unsent_bytes_; }
  void pauseReading() override;
  void resumeReading() override;
  void finish() override;
  void close() override;
  bool inputWaits() const override;
  Endpoint peer() const override { return peer_; }
  Endpoint local() const override { return local_; }

 private:
  friend class TcpConnector;
  struct PendingWrite;
  TcpStream(Loop& loop, UvHandle<uv_tcp_t> handle);
  static Result<UvHandle<uv_tcp_t>> makeHandle(Loop& loop);
  void learnEndpoints();
  void startReading();
  void onRead(ssize_t count, const uv_buf_t& buffer);
  void onPeerFinished();
  void onWritten(int status, size_t bytes);
  void endWith(int uv_error);
  void startWrite();

  Loop& loop_;
  UvHandle<uv_tcp_t> handle_;
  Handler* handler_ = nullptr;
  ByteChain out_;  // queued, not yet given to libuv
  size_t unsent_bytes_ = 0;
  bool above_low_water_ = false;
  bool reading_ = false;
  bool peer_finished_ = false;
  bool writing_ = false;  // a uv_write is under way
  Deadline broken_;       // tells of a failed write from the loop
  Endpoint peer_;
  Endpoint local_;
};

// One attempt to connect. Destroying it gives the attempt up.
class TcpConnector {
 public:
  using Done = UniqueFunction<void(Result<std::unique_ptr<TcpStream>>)>;
  // Errors given to `done`: Refused, Unreachable, Timeout, Io. `done` is called once, never from
  // within this constructor; it may destroy the connector.
  TcpConnector(Loop& loop, const Endpoint& to, std::optional<IpAddress> from, Duration timeout,
               Done done);
  ~TcpConnector();

 private:
  int begin(const Endpoint& to, std::optional<IpAddress> from);
  void finish(Result<std::unique_ptr<TcpStream>> result);
  Loop& loop_;
  Done done_;
  Deadline deadline_;
  std::optional<Error> pending_error_;  // of begin(), told from the loop
  uv_connect_t* request_ = nullptr;     // owned by libuv until its callback
  std::unique_ptr<TcpStream> stream_;
};

}  // namespace sluice::net
