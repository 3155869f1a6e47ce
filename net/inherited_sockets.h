// Listening sockets that a service manager opened and handed to this process: systemd's socket
// activation (sd_listen_fds(3)). They outlive us, so that nobody is refused while we restart.
//
// Call it once, before other threads begin: it takes the variables out of the environment.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "net/base/ip_address.h"

namespace sluice::net {

// A socket that is open as long as this is.
class InheritedSocket {
 public:
  InheritedSocket(std::string name, int socket, Endpoint at);
  ~InheritedSocket();
  InheritedSocket(InheritedSocket&& other) noexcept;
  InheritedSocket& operator=(InheritedSocket&&) = delete;

  const std::string& name() const { return name_; }  // FileDescriptorName=; "" if there is none
  const Endpoint& at() const { return at_; }         // what it is bound to
  // Another descriptor of it, for Listener::create. Errors: Io.
  Result<int> duplicate() const;

 private:
  std::string name_;
  int socket_;
  Endpoint at_;
};

using Variable = std::function<std::optional<std::string>(const std::string& name)>;

// What LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES say; none if they are not meant for `pid`. Errors:
// InvalidArgument (no TCP socket that listens), Malformed (the variables).
Result<std::vector<InheritedSocket>> inheritedSockets(const Variable& variable, int pid);
// Likewise, of this process.
Result<std::vector<InheritedSocket>> takeInheritedSockets();

}  // namespace sluice::net
