// How did TLS fare with each domain, day by day, until its report is sent?
//
// One for all shards; any thread. Bounded: what is beyond goes uncounted, but for its number.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/base/clock.h"
#include "net/base/result.h"
#include "relay/deliver/tls_results.h"

namespace sluice::relay {

using Day = std::chrono::sys_days;  // UTC, as RFC 8460 section 4.1 counts

inline Day dayOf(WallTime time) { return std::chrono::floor<std::chrono::days>(time); }
std::string formatDay(Day day);  // "2026-11-24"

struct TlsFailures {
  TlsResult::Type type = TlsResult::Type::ValidationFailure;
  std::string from;  // addresses as text, empty if no connection was made
  std::string to;
  std::string mx;
  std::string reason;
  uint64_t sessions = 0;
};

struct TlsTally {
  std::vector<std::string> policy_lines;
  std::vector<std::string> mx_patterns;
  uint64_t successes = 0;
  uint64_t failures = 0;
  std::vector<TlsFailures> details;
};

// Of one domain and day.
using TlsTallies = std::map<TlsResult::Policy, TlsTally>;

class TlsLedger final : public TlsResults {
 public:
  static constexpr size_t kMaxEntries = 20'000;  // domains, over all days
  static constexpr size_t kMaxDetails = 50;      // kinds of failure, of a domain's policy
  static constexpr size_t kMaxLines = 32;
  static constexpr size_t kMaxTextBytes = 500;  // of a line, a reason, a name

  explicit TlsLedger(const Clock& clock) : clock_(clock) {}

  void note(const TlsResult& result) override;

  using Entry = std::pair<Day, std::string>;  // the domain
  // Of days before `today`, the oldest first.
  std::vector<Entry> finished(Day today) const;
  std::optional<TlsTallies> find(const Entry& entry) const;
  void drop(const Entry& entry);

  // All of it as JSON, if it has changed since the last call; and back, beside what is there.
  // Errors: Malformed (nothing is taken).
  std::optional<std::string> takeChanges();
  Result<void> restore(std::string_view json);

 private:
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::map<Entry, TlsTallies> entries_;  // guarded by mutex_, as is the rest
  bool changed_ = false;
};

}  // namespace sluice::relay
