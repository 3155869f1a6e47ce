#include "net/inherited_sockets.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "net/listener.h"

namespace sluice::net {
namespace {

constexpr int kFirst = 3;  // SD_LISTEN_FDS_START
constexpr int kMost = 1024;
constexpr const char* kPid = "LISTEN_PID";
constexpr const char* kCount = "LISTEN_FDS";
constexpr const char* kNames = "LISTEN_FDNAMES";

Result<int> number(const char* name, const std::string& text, int most) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0 || value > most) {
    return fail(Errc::Malformed, std::string(name) + ": \"" + text + "\" is no number that can be");
  }
  return value;
}

bool optionIs(int socket, int option, int wanted) {
  int value = 0;
  socklen_t length = sizeof value;
  return ::getsockopt(socket, SOL_SOCKET, option, &value, &length) == 0 && value == wanted;
}

bool isTcpListener(int socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) != 0) return false;
  return (address.ss_family == AF_INET || address.ss_family == AF_INET6) &&
         optionIs(socket, SO_TYPE, SOCK_STREAM) && optionIs(socket, SO_ACCEPTCONN, 1);
}

// "a:b" -> the names in order; the manager escapes nothing, as no name holds a colon.
std::vector<std::string> namesIn(std::string_view text) {
  std::vector<std::string> names;
  while (!text.empty()) {
    const size_t end = std::min(text.find(':'), text.size());
    names.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return names;
}

}  // namespace

InheritedSocket::InheritedSocket(std::string name, int socket, Endpoint at)
    : name_(std::move(name)), socket_(socket), at_(at) {}

InheritedSocket::InheritedSocket(InheritedSocket&& other) noexcept
    : name_(std::move(other.name_)), socket_(std::exchange(other.socket_, -1)), at_(other.at_) {}

InheritedSocket::~InheritedSocket() {
  if (socket_ >= 0) ::close(socket_);
}

Result<int> InheritedSocket::duplicate() const {
  const int copy = ::fcntl(socket_, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return fail(Errc::Io, at_.toString() + ": " + std::strerror(errno));
  return copy;
}

Result<std::vector<InheritedSocket>> inheritedSockets(const Variable& variable, int pid) {
  std::vector<InheritedSocket> sockets;
  const std::string count_text = variable(kCount).value_or("");
  const std::string pid_text = variable(kPid).value_or("");
  if (count_text.empty() || pid_text != std::to_string(pid)) return sockets;
  ASSIGN_OR_RETURN(const int count, number(kCount, count_text, kMost));
  const auto names = namesIn(variable(kNames).value_or(""));
  for (int i = 0; i < count; ++i) {
    const int socket = kFirst + i;
    if (!isTcpListener(socket)) {
      return fail(Errc::InvalidArgument, "descriptor " + std::to_string(socket) + " of " + kCount +
                                             " is not a TCP socket that listens");
    }
    ::fcntl(socket, F_SETFD, FD_CLOEXEC);
    ::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) | O_NONBLOCK);
    const auto index = static_cast<size_t>(i);
    sockets.emplace_back(index < names.size() ? names[index] : "", socket, localEndpoint(socket));
  }
  return sockets;
}

Result<std::vector<InheritedSocket>> takeInheritedSockets() {
  auto sockets = inheritedSockets(
      [](const std::string& name) -> std::optional<std::string> {
        const char* value = std::getenv(name.c_str());
        return value == nullptr ? std::nullopt : std::optional<std::string>(value);
      },
      ::getpid());
  for (const char* name : {kPid, kCount, kNames}) ::unsetenv(name);
  return sockets;
}

}  // namespace sluice::net
