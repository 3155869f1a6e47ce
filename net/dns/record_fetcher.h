// What does DNS say of one name and type, with its aliases followed: from the cache, from a
// question that is already open, or from a new one?
//
// One a shard, on its thread. Results never come from within fetch().
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "net/dns/dns_cache.h"
#include "net/dns/dns_metrics.h"
#include "net/dns/dns_transport.h"
#include "net/dns/record_set.h"

namespace sluice::net {

class RecordFetcher {
 public:
  using Done = UniqueFunction<void(const SharedRecordSet&)>;
  class Waiter;

  // Recursive name servers give a chain of aliases whole; where one does not, the rest is asked
  // for. Addresses are two chains, and 20 questions in all.
  static constexpr int kMaxAliases = 9;
  static constexpr int kMaxQuestionsPerFetch = 10;

  RecordFetcher(Loop& loop, DnsTransport& transport, const ResolverOptions& options);
  ~RecordFetcher();

  // nullptr if the cache does not know.
  SharedRecordSet cached(const std::string& name, DnsType type);
  // Calls `done` once, later; not if the Waiter is destroyed before. The Waiter may outlive us.
  std::unique_ptr<Waiter> fetch(const std::string& name, DnsType type, Done done);
  void flush() { cache_.clear(); }

 private:
  struct Fetch;
  void ask(Fetch& fetch);
  void onAnswer(Fetch& fetch, Result<std::string> answer);
  void follow(Fetch& fetch, const DnsMessage& message);
  void finish(Fetch& fetch, RecordSet set);
  void observe(const Fetch& fetch, RecordSet::Outcome outcome);

  Loop& loop_;
  DnsTransport& transport_;
  const bool trust_ad_;
  DnsMetrics* const metrics_;
  DnsCache cache_;
  std::unordered_map<std::string, std::unique_ptr<Fetch>> fetches_;  // by DnsCache::keyOf()
};

// Waits for one fetch; destroying it gives up waiting, and the answer still goes into the cache.
class RecordFetcher::Waiter {
 public:
  ~Waiter();
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

 private:
  friend class RecordFetcher;
  Waiter(Fetch& fetch, Done done);
  Fetch* fetch_;  // nullptr once it has ended
  Done done_;
};

}  // namespace sluice::net
