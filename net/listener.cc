#include "net/listener.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>

#include <memory>
#include <string>

namespace sluice::net {
namespace {

constexpr int kBacklog = 1024;

struct CloseFd {
  int fd;
  ~CloseFd() {
    if (fd >= 0) ::close(fd);
  }
  int release() { return std::exchange(fd, -1); }
};

tl::unexpected<Error> failErrno(const Endpoint& at, const char* what) {
  const int error = errno;
  const Errc code = error == EADDRINUSE      ? Errc::Exists
                    : error == EADDRNOTAVAIL ? Errc::InvalidArgument
                                             : Errc::Io;
  return fail(code, at.toString() + ": " + what + ": " + std::strerror(error));
}

Result<int> bindSocket(const Endpoint& at, bool share_port) {
  sockaddr_storage address{};
  at.to(address);
  CloseFd socket{::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (socket.fd < 0) return failErrno(at, "socket");
  const int on = 1;
  ::setsockopt(socket.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (share_port) ::setsockopt(socket.fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (address.ss_family == AF_INET6) {
    ::setsockopt(socket.fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  }
  const socklen_t length =
      address.ss_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  if (::bind(socket.fd, reinterpret_cast<const sockaddr*>(&address), length) != 0) {
    return failErrno(at, "bind");
  }
  return socket.release();
}

}  // namespace

Result<void> probeListener(const Endpoint& at) {
  // SO_REUSEPORT would let us share the port with another process; without it the kernel tells.
  ASSIGN_OR_RETURN(const int socket, bindSocket(at, false));
  ::close(socket);
  return {};
}

Result<int> bindListener(const Endpoint& at) { return bindSocket(at, true); }

Endpoint localEndpoint(int socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length);
  return Endpoint::from(reinterpret_cast<const sockaddr&>(address));
}

Listener::Listener(Loop& loop, OnConnection on_connection)
    : loop_(loop), on_connection_(std::move(on_connection)) {}

Listener::~Listener() = default;

Result<std::unique_ptr<Listener>> Listener::create(Loop& loop, int socket,
                                                   OnConnection on_connection) {
  CloseFd owned{socket};
  std::unique_ptr<Listener> listener(new Listener(loop, std::move(on_connection)));
  auto raw = std::make_unique<uv_tcp_t>();
  if (uv_tcp_init(loop.raw(), raw.get()) != 0) return fail(Errc::Io, "uv_tcp_init");
  listener->handle_.reset(raw.release());
  listener->handle_->data = listener.get();
  if (const int error = uv_tcp_open(listener->handle_.get(), owned.fd); error != 0) {
    return fail(Errc::Io, uv_strerror(error));
  }
  owned.release();
  auto* stream = reinterpret_cast<uv_stream_t*>(listener->handle_.get());
  const int error = uv_listen(stream, kBacklog, [](uv_stream_t* server, int status) {
    if (server->data) static_cast<Listener*>(server->data)->onConnection(status);
  });
  if (error != 0) {
    return fail(error == UV_EADDRINUSE ? Errc::Exists : Errc::Io, uv_strerror(error));
  }
  sockaddr_storage address{};
  int length = sizeof address;
  uv_tcp_getsockname(listener->handle_.get(), reinterpret_cast<sockaddr*>(&address), &length);
  listener->local_ = Endpoint::from(reinterpret_cast<const sockaddr&>(address));
  return listener;
}

void Listener::onConnection(int status) {
  if (status < 0) return;  // EMFILE and the like: libuv has closed the connection for us
  last_descriptor_ = handle_->accepted_fd;
  auto stream = TcpStream::accept(loop_, reinterpret_cast<uv_stream_t*>(handle_.get()));
  if (stream) on_connection_(std::move(*stream));
}

}  // namespace sluice::net
