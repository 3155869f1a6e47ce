#include "net/tls/tls_session_cache.h"

#include <utility>

namespace sluice::net {

void TlsSessionCache::put(const std::string& peer, SslSessionHandle session) {
  const std::lock_guard lock(mutex_);
  // Which peer has to go does not matter: it costs it a full handshake.
  if (sessions_.size() >= kMaxPeers && !sessions_.contains(peer))
    sessions_.erase(sessions_.begin());
  auto& of_peer = sessions_[peer];
  of_peer.push_back(std::move(session));
  if (of_peer.size() > kMaxOfPeer) of_peer.pop_front();
}

SslSessionHandle TlsSessionCache::take(const std::string& peer) {
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(peer);
  if (found == sessions_.end()) return nullptr;
  SslSessionHandle session = std::move(found->second.back());
  found->second.pop_back();
  if (found->second.empty()) sessions_.erase(found);
  return session;
}

}  // namespace sluice::net
