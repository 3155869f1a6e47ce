// TLS handshakes, counted by version and whether a session was resumed. One thread writes.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "metrics/cells.h"
#include "net/tls/tls_stream.h"

namespace sluice::net {

struct TlsMetrics {
  static constexpr std::array<std::string_view, 2> kVersions{"TLSv1.2", "TLSv1.3"};
  static constexpr std::array<std::string_view, 2> kResumed{"false", "true"};

  std::array<std::array<metrics::Counter, kResumed.size()>, kVersions.size()> sessions;

  void count(const TlsStream& stream) {
    sessions[stream.version() == kVersions[1] ? 1 : 0][stream.resumed() ? 1 : 0].add();
  }
};

}  // namespace sluice::net
