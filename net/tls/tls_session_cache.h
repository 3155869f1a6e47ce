// Sessions that servers offered to resume, by whom they were with and what was demanded of them.
//
// Shared by all shards; any thread (one lock a handshake). Bounded.
#pragma once

#include <deque>
#include <mutex>
#include <string>
#include <unordered_map>

#include "net/tls/tls_handles.h"

namespace sluice::net {

class TlsSessionCache {
 public:
  static constexpr size_t kMaxPeers = 2000;
  static constexpr size_t kMaxOfPeer = 4;  // a ticket of TLS 1.3 is good for one connection

  void put(const std::string& peer, SslSessionHandle session);
  // The latest; null if there is none. One that may be used again stays.
  SslSessionHandle take(const std::string& peer);
  void forget(const std::string& peer);

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, std::deque<SslSessionHandle>> sessions_;  // guarded by mutex_
};

}  // namespace sluice::net
