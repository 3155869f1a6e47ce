#include "relay/cli/admin_client.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>

#include "net/base/ip_address.h"

namespace sluice::relay {
namespace {

struct Socket {
  explicit Socket(int descriptor) : fd(descriptor) {}
  ~Socket() {
    if (fd >= 0) close(fd);
  }
  Socket(Socket&& other) noexcept : fd(std::exchange(other.fd, -1)) {}
  Socket& operator=(Socket&&) = delete;
  int fd;
};

Error systemError(Errc code, const std::string& what) {
  return {code, what + ": " + std::strerror(errno)};
}

Result<void> waitFor(const Socket& socket, short events, std::chrono::milliseconds patience) {
  pollfd watched{socket.fd, events, 0};
  int ready = 0;
  do {
    ready = poll(&watched, 1, static_cast<int>(patience.count()));
  } while (ready < 0 && errno == EINTR);
  if (ready == 0) return fail(Errc::Timeout, "no answer in time");
  if (ready < 0) return tl::unexpected<Error>(systemError(Errc::Io, "poll"));
  return {};
}

Result<Socket> connectOne(const addrinfo& address, std::chrono::milliseconds patience) {
  Socket made(socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (made.fd < 0) return tl::unexpected<Error>(systemError(Errc::Io, "socket"));
  if (connect(made.fd, address.ai_addr, address.ai_addrlen) == 0) return made;
  if (errno == EINPROGRESS) {
    RETURN_IF_ERROR(waitFor(made, POLLOUT, patience));
    socklen_t size = sizeof errno;
    int error = 0;
    getsockopt(made.fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error == 0) return made;
    errno = error;
  }
  const Errc code = errno == ECONNREFUSED ? Errc::Refused : Errc::Unreachable;
  return tl::unexpected<Error>(systemError(code, "cannot connect"));
}

Result<Socket> connectToHost(const AdminTarget& target, std::chrono::milliseconds patience) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(target.host.c_str(), std::to_string(target.port).c_str(), &hints, &found);
  if (error != 0) return fail(Errc::NotFound, target.host + ": " + gai_strerror(error));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, &freeaddrinfo);
  Error last{Errc::Unreachable, "no address"};
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    auto made = connectOne(*each, patience);
    if (made) return made;
    last = made.error();
  }
  return tl::unexpected<Error>(std::move(last));
}

Result<void> sendAll(const Socket& socket, std::string_view bytes,
                     std::chrono::milliseconds patience) {
  while (!bytes.empty()) {
    RETURN_IF_ERROR(waitFor(socket, POLLOUT, patience));
    const ssize_t sent = send(socket.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<size_t>(sent));
    } else if (errno != EAGAIN && errno != EINTR) {
      return {};  // the other side may have answered before it closed
    }
  }
  return {};
}

Result<std::string> receiveAll(const Socket& socket, std::chrono::milliseconds patience) {
  std::string all;
  char piece[65536];
  for (;;) {
    RETURN_IF_ERROR(waitFor(socket, POLLIN, patience));
    const ssize_t got = recv(socket.fd, piece, sizeof piece, 0);
    if (got > 0) {
      all.append(piece, static_cast<size_t>(got));
      if (all.size() > AdminClient::kMaxAnswerBytes)
        return fail(Errc::TooLarge, "the answer is too large");
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
      return all;
    }
  }
}

std::string lowerCase(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

template <class Number>
std::optional<Number> number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Host and port as in a URL.
std::string authority(const AdminTarget& target) {
  const bool v6 = target.host.find(':') != std::string::npos;
  return (v6 ? "[" + target.host + "]" : target.host) + ":" + std::to_string(target.port);
}

}  // namespace

Result<AdminTarget> parseAdminUrl(std::string_view url) {
  const Error wrong{Errc::InvalidArgument,
                    "not an admin URL (http://HOST:PORT): " + std::string(url)};
  constexpr std::string_view kScheme = "http://";
  if (url.starts_with(kScheme)) url.remove_prefix(kScheme.size());
  if (url.ends_with('/')) url.remove_suffix(1);
  AdminTarget target;
  std::string_view port;
  if (url.starts_with('[')) {
    const size_t end = url.find(']');
    if (end == url.npos) return tl::unexpected<Error>(wrong);
    target.host = url.substr(1, end - 1);
    port = url.substr(end + 1);
    if (!IpAddress::parse(target.host)) return tl::unexpected<Error>(wrong);
  } else {
    target.host = url.substr(0, url.find(':'));
    port = url.substr(target.host.size());
  }
  if (!port.empty()) {
    const auto value = port[0] == ':' ? number<uint16_t>(port.substr(1)) : std::nullopt;
    if (!value || *value == 0) return tl::unexpected<Error>(wrong);
    target.port = *value;
  }
  const bool clean = target.host.find_first_of("/@?#[] \t\r\n") == std::string::npos;
  if (target.host.empty() || !clean) return tl::unexpected<Error>(wrong);
  return target;
}

Result<AdminAnswer> readAnswer(std::string_view bytes) {
  const size_t head_end = bytes.find("\r\n\r\n");
  if (bytes.empty()) return fail(Errc::Closed, "the connection was closed without an answer");
  if (head_end == bytes.npos || !bytes.starts_with("HTTP/1.")) {
    return fail(Errc::Malformed, "this is no answer of an admin address");
  }
  const auto status = number<int>(bytes.substr(std::strlen("HTTP/1.1 "), 3));
  if (!status) return fail(Errc::Malformed, "this is no answer of an admin address");
  AdminAnswer answer{*status, std::string(bytes.substr(head_end + 4))};
  const std::string head = lowerCase(bytes.substr(0, head_end + 2));
  constexpr std::string_view kLength = "\r\ncontent-length: ";
  const size_t at = head.find(kLength);
  if (at != std::string::npos) {
    const size_t begin = at + kLength.size();
    const auto length =
        number<size_t>(std::string_view(head).substr(begin, head.find("\r\n", begin) - begin));
    if (length != answer.body.size()) return fail(Errc::Closed, "the answer was cut off");
  }
  return answer;
}

std::string AdminClient::url() const { return "http://" + authority(target_); }

Result<AdminAnswer> AdminClient::get(const std::string& path) { return ask("GET", path, ""); }

Result<AdminAnswer> AdminClient::post(const std::string& path, const std::string& json) {
  return ask("POST", path, json);
}

Result<AdminAnswer> AdminClient::ask(const std::string& method, const std::string& path,
                                     const std::string& json) {
  if (target_.token.find_first_of("\r\n") != std::string::npos) {
    return fail(Errc::InvalidArgument, "the token holds a line break");
  }
  std::string request = method + " " + path + " HTTP/1.1\r\nHost: " + authority(target_) +
                        "\r\nConnection: close\r\n";
  if (!target_.token.empty()) request += "Authorization: Bearer " + target_.token + "\r\n";
  if (method == "POST") {
    request +=
        "Content-Type: application/json\r\nContent-Length: " + std::to_string(json.size()) + "\r\n";
  }
  request += "\r\n" + json;
  ASSIGN_OR_RETURN(const Socket socket, connectToHost(target_, patience_));
  RETURN_IF_ERROR(sendAll(socket, request, patience_));
  ASSIGN_OR_RETURN(const std::string answer, receiveAll(socket, patience_));
  return readAnswer(answer);
}

}  // namespace sluice::relay
