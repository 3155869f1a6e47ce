// How many clients are connected to a receive connector, over all shards.
//
// Any thread. The lock is taken twice a connection and never for a message.
#pragma once

#include <mutex>
#include <unordered_map>

#include "net/base/ip_address.h"

namespace sluice::relay {

class ConnectionCount {
 public:
  enum class Verdict { Taken, Full, ClientFull };

  // Counts a connection in, unless a limit is reached; 0 is no limit for a client.
  Verdict take(const IpAddress& client, int max_connections, int max_per_client);
  void release(const IpAddress& client);
  // A connection that was counted as `from` is `to`'s, and counted even if that is one too many:
  // then false.
  bool move(const IpAddress& from, const IpAddress& to, int max_per_client);
  int total() const;

 private:
  void forget(const IpAddress& client);

  mutable std::mutex mutex_;
  int total_ = 0;                               // guarded by mutex_
  std::unordered_map<IpAddress, int> clients_;  // guarded by mutex_
};

}  // namespace sluice::relay
