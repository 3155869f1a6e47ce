// What the relay tells the service manager that started it (sd_notify(3)): ready, reloading,
// stopping, and a line for `systemctl status`. Without one, nothing happens.
#pragma once

#include <string>

namespace sluice::relay {

class ServiceManager {
 public:
  // `socket` is $NOTIFY_SOCKET: a path, or "@name" for an abstract one; "" for none.
  explicit ServiceManager(std::string socket) : socket_(std::move(socket)) {}

  void ready() const { tell("READY=1\nSTATUS=taking mail"); }
  void reloading() const;  // ready() ends it
  void stopping() const { tell("STOPPING=1\nSTATUS=draining"); }

 private:
  void tell(const std::string& message) const;
  std::string socket_;
};

}  // namespace sluice::relay
