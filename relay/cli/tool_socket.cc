#include "relay/cli/tool_socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>

namespace sluice::relay {
namespace {

constexpr int kBacklog = 4096;

tl::unexpected<Error> failErrno(Errc code, std::string_view what) {
  return fail(code, std::string(what) + ": " + std::strerror(errno));
}

socklen_t lengthOf(const sockaddr_storage& address) {
  return address.ss_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
}

const sockaddr* asSockaddr(const sockaddr_storage& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

void setFlag(int fd, int level, int option) {
  const int one = 1;
  setsockopt(fd, level, option, &one, sizeof one);
}

Descriptor streamSocket(const sockaddr_storage& address) {
  return Descriptor(socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

}  // namespace

void Descriptor::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

uint64_t steadyNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

Result<Descriptor> listenAt(const Endpoint& at) {
  sockaddr_storage address{};
  at.to(address);
  Descriptor fd = streamSocket(address);
  if (!fd) return failErrno(Errc::Io, "socket");
  setFlag(fd.get(), SOL_SOCKET, SO_REUSEADDR);
  if (address.ss_family == AF_INET6) setFlag(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY);
  if (bind(fd.get(), asSockaddr(address), lengthOf(address)) < 0 ||
      listen(fd.get(), kBacklog) < 0) {
    const Errc code = errno == EADDRINUSE      ? Errc::Exists
                      : errno == EADDRNOTAVAIL ? Errc::InvalidArgument
                                               : Errc::Io;
    return failErrno(code, "listen on " + at.toString());
  }
  return fd;
}

Result<Endpoint> localOf(const Descriptor& socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length) < 0) {
    return failErrno(Errc::Io, "getsockname");
  }
  return Endpoint::from(*asSockaddr(address));
}

Result<Descriptor> connectTo(const Endpoint& to) {
  sockaddr_storage address{};
  to.to(address);
  Descriptor fd = streamSocket(address);
  if (!fd) return failErrno(Errc::Io, "socket");
  setNoDelay(fd);
  if (connect(fd.get(), asSockaddr(address), lengthOf(address)) < 0 && errno != EINPROGRESS) {
    return failErrno(Errc::Unreachable, "connect to " + to.toString());
  }
  return fd;
}

int connectError(const Descriptor& socket) {
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &length) < 0) return errno;
  return error;
}

Result<Endpoint> resolveEndpoint(std::string_view text) {
  if (auto literal = Endpoint::parse(text)) return *literal;
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) {
    return fail(Errc::InvalidArgument, "'" + std::string(text) + "' is not HOST:PORT");
  }
  const std::string host(text.substr(0, colon));
  const std::string port(text.substr(colon + 1));
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (error != 0) return fail(Errc::NotFound, std::string(text) + ": " + gai_strerror(error));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, freeaddrinfo);
  return Endpoint::from(*found->ai_addr);
}

void setNoDelay(const Descriptor& socket) { setFlag(socket.get(), IPPROTO_TCP, TCP_NODELAY); }

void acknowledgeNow(const Descriptor& socket) { setFlag(socket.get(), IPPROTO_TCP, TCP_QUICKACK); }

void resetOnClose(const Descriptor& socket) {
  const linger abort{1, 0};
  setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
}

void raiseFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

Result<Poller> Poller::create() {
  Descriptor epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return failErrno(Errc::Io, "epoll_create1");
  return Poller(std::move(epoll));
}

Result<void> Poller::add(const Descriptor& fd, uint32_t events, uint64_t tag) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = tag;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event) < 0) {
    return failErrno(Errc::Io, "epoll_ctl");
  }
  return {};
}

void Poller::modify(const Descriptor& fd, uint32_t events, uint64_t tag) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = tag;
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd.get(), &event);
}

std::span<const epoll_event> Poller::wait(int timeout_ms) {
  const int count =
      epoll_wait(epoll_.get(), events_.data(), static_cast<int>(events_.size()), timeout_ms);
  return {events_.data(), count > 0 ? static_cast<size_t>(count) : 0};
}

Result<Descriptor> stopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  Descriptor fd(signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd) return failErrno(Errc::Io, "signalfd");
  return fd;
}

}  // namespace sluice::relay
