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
  static constexpr size_t kMaxOfPeer = 4;

  void put(const std::string& peer, SslSessionHandle session);
  // The latest, which then is no longer here; null if there is none. So one that does harm is not
  // tried again; one of TLS 1.2 that did good may be put back.
  SslSessionHandle take(const std::string& peer);

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, std::deque<SslSessionHandle>> sessions_;  // guarded by mutex_
};

}  // namespace sluice::net
