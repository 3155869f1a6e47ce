// May this request ask us at all? By the name it calls us, the site it comes from, and its token.
//
// An unknown Host means a name made to point at us by somebody else (DNS rebinding), a foreign
// Origin a page of another site. Several threads; the token and the names can be changed while it
// works.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "net/base/clock.h"
#include "net/base/ip_address.h"
#include "net/http/http_server.h"

namespace sluice::relay {

class AccessGuard {
 public:
  // An empty token lets everyone in. `hosts` are accepted beside localhost and the listen address,
  // which for a wildcard is any address.
  AccessGuard(const Endpoint& listen, std::string token, std::vector<std::string> hosts);
  void change(std::string token, std::vector<std::string> hosts);

  // The refusal, if there is one: 403.
  std::optional<net::HttpResponse> checkSite(const net::HttpRequest& request) const;
  // 401; or 429 for a client that was wrong too often, whatever it offers now.
  std::optional<net::HttpResponse> checkToken(const net::HttpRequest& request, SteadyTime now);

  static constexpr int kMaxFailures = 20;             // of one client
  static constexpr std::chrono::seconds kWindow{60};  // in this time
  static constexpr size_t kMaxClients = 1000;         // remembered

 private:
  struct Failures {
    SteadyTime since{};
    int count = 0;
  };
  bool knowsHost(std::string_view host) const;
  Failures& failuresOf(const std::string& client, SteadyTime now);

  const Endpoint listen_;
  mutable std::mutex mutex_;
  std::string token_;                         // guarded by mutex_
  std::vector<std::string> hosts_;            // guarded by mutex_; lower case, no port
  std::map<std::string, Failures> failures_;  // guarded by mutex_
};

}  // namespace sluice::relay
