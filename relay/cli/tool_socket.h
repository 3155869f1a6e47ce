// Sockets, epoll and time for `sluice sink` and `sluice load`, which share nothing with the relay's
// own network code: a judge that makes the same mistakes as the judged is of no use.
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "net/base/ip_address.h"
#include "net/base/result.h"

namespace sluice::relay {

// Owns a file descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { reset(); }
  void reset();
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

uint64_t steadyNs();  // CLOCK_MONOTONIC, the same for all processes of a machine

// Errors: Exists (address in use), InvalidArgument, Io.
Result<Descriptor> listenAt(const Endpoint& at);
Result<Endpoint> localOf(const Descriptor& socket);
// Non-blocking; a failure to connect is told by epoll later. Errors: Io, Unreachable.
Result<Descriptor> connectTo(const Endpoint& to);
// What became of a connection attempt: 0 or an errno.
int connectError(const Descriptor& socket);
// "host:port", "127.0.0.1:25", "[::1]:25". Errors: InvalidArgument, NotFound.
Result<Endpoint> resolveEndpoint(std::string_view text);

void setNoDelay(const Descriptor& socket);
// Acknowledges at once what was read: a peer that writes in small pieces without TCP_NODELAY would
// else wait 40 ms for the delayed acknowledgement.
void acknowledgeNow(const Descriptor& socket);
void resetOnClose(const Descriptor& socket);  // RST instead of FIN
void raiseFileLimit();

class Poller {
 public:
  static Result<Poller> create();
  Result<void> add(const Descriptor& fd, uint32_t events, uint64_t tag);
  void modify(const Descriptor& fd, uint32_t events, uint64_t tag);
  // Waits up to `timeout_ms` (-1: for ever).
  std::span<const epoll_event> wait(int timeout_ms);

 private:
  explicit Poller(Descriptor epoll) : epoll_(std::move(epoll)), events_(512) {}
  Descriptor epoll_;
  std::vector<epoll_event> events_;
};

// SIGTERM and SIGINT as something to poll: blocked for this process from here on.
Result<Descriptor> stopSignals();

}  // namespace sluice::relay
