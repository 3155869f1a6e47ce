// Accepts connections on one address for one shard; SO_REUSEPORT spreads them over the shards.
#pragma once

#include <uv.h>

#include <memory>

#include "net/base/ip_address.h"
#include "net/loop.h"
#include "net/tcp_stream.h"
#include "net/uv_handle.h"

namespace sluice::net {

// A bound and listening socket that is not on a loop yet. Bind all before the first accepts, so
// that a port that is taken stops the start and never half of it.
// Errors: Exists (address in use), InvalidArgument (not ours), Io.
Result<int> bindListener(const Endpoint& at);
// What a bound socket is bound to.
Endpoint localEndpoint(int socket);
// Whether nobody else has the port: another process could share it with us by SO_REUSEPORT unseen.
// Errors as above.
Result<void> probeListener(const Endpoint& at);

class Listener {
 public:
  using OnConnection = UniqueFunction<void(std::unique_ptr<TcpStream>)>;
  // Takes over `socket` (from bindListener). Errors: Io.
  static Result<std::unique_ptr<Listener>> create(Loop& loop, int socket,
                                                  OnConnection on_connection);
  ~Listener();
  Endpoint local() const { return local_; }
  // The number of the connection that was taken last. The kernel gives the lowest that is free: as
  // many descriptors are open at least.
  int lastDescriptor() const { return last_descriptor_; }

 private:
  Listener(Loop& loop, OnConnection on_connection);
  void onConnection(int status);
  Loop& loop_;
  OnConnection on_connection_;
  UvHandle<uv_tcp_t> handle_;
  Endpoint local_;
  int last_descriptor_ = -1;
};

}  // namespace sluice::net
