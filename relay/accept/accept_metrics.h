// What accepting counts: one struct a shard and receive connector, written on the shard's loop.
#pragma once

#include <array>
#include <string_view>

#include "metrics/cells.h"
#include "net/smtp/status_code.h"
#include "net/tls/tls_metrics.h"

namespace sluice::relay {

struct AcceptMetrics {
  // Enhanced status codes with which messages, recipients and content are refused. The set is
  // closed, so that a client cannot make label values; the last one takes the rest.
  static constexpr std::array<std::string_view, 21> kRefusals{
      "4.3.0", "4.3.1", "4.3.2", "4.4.2", "4.5.3", "4.7.0", "4.7.1",
      "5.1.3", "5.1.7", "5.3.4", "5.4.4", "5.4.6", "5.5.1", "5.5.2",
      "5.5.4", "5.6.0", "5.6.7", "5.7.0", "5.7.1", "5.7.8", "other"};

  metrics::Gauge connections;
  metrics::Counter messages;
  metrics::Counter bytes;
  std::array<metrics::Counter, kRefusals.size()> refused;
  metrics::Counter shed_connections;  // over max_connections
  metrics::Counter shed_per_client;   // over max_connections_per_client
  metrics::Counter shed_descriptors;  // for want of file descriptors
  metrics::Counter shed_no_room;      // MAIL answered 452 4.3.1
  metrics::Counter timeouts;          // clients cut for being too slow
  metrics::Counter bare_newlines;     // commands and contents with CR or LF that is not CRLF
  metrics::Counter client_gone;       // accepted, but the client left before its 250
  net::TlsMetrics tls;
  metrics::Counter auth_accepted;
  metrics::Counter auth_failed;    // wrong credentials, or nonsense
  metrics::Counter auth_shut_out;  // too many failures before
  metrics::Counter auth_not_now;   // too many wait, or the users file is unreadable
  metrics::Counter early_talkers;  // clients that spoke before the greeting
  metrics::Counter proxy_headers;  // proxies whose header did not come, or was none
  metrics::Counter held_back;      // replies that came late, to clients that err again and again

  // While there are DKIM keys.
  metrics::Counter signed_messages;
  metrics::Counter unsigned_messages;  // no key for their author, or nothing that can be signed

  void countRefused(const smtp::EnhancedStatusCode& status) {
    const std::string text = status.toString();
    size_t index = 0;
    while (index + 1 < kRefusals.size() && kRefusals[index] != text) ++index;
    refused[index].add();
  }
};

}  // namespace sluice::relay
