// What is counted of DNS: how long look-ups in the network take, by record type and result. Answers
// from the cache are not observed. One a shard.
#pragma once

#include <array>
#include <string_view>

#include "metrics/buckets.h"
#include "metrics/cells.h"

namespace sluice::net {

struct DnsMetrics {
  static constexpr std::array<std::string_view, 5> kTypes{"mx", "a", "aaaa", "txt", "tlsa"};
  static constexpr std::array<std::string_view, 4> kResults{"ok", "nxdomain", "nodata", "failed"};

  // seconds[type][result], in the order of the names above.
  using ByResult = std::array<metrics::Histogram, kResults.size()>;
  std::array<ByResult, kTypes.size()> seconds{fourHistograms(), fourHistograms(), fourHistograms(),
                                              fourHistograms(), fourHistograms()};

 private:
  static ByResult fourHistograms() {
    using metrics::Histogram;
    using metrics::kDnsSeconds;
    return {Histogram(kDnsSeconds), Histogram(kDnsSeconds), Histogram(kDnsSeconds),
            Histogram(kDnsSeconds)};
  }
};

}  // namespace sluice::net
