// The MTA-STS policies that are known (RFC 8461): kept for all shards, fetched, renewed, ended.
//
// Lives on the HTTPS client's loop and answers on the asker's. A domain whose policy has to be
// fetched first waits for that fetch, a minute at most; nobody else does. A policy that cannot be
// had, or is broken, leaves the one of before in force until that ends.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/deadlines.h"
#include "net/http/https_client.h"
#include "relay/deliver/mta_sts_files.h"
#include "relay/deliver/tls_policy_source.h"
#include "relay/log/event_log.h"

namespace sluice::relay {

class MtaStsPolicies {
 public:
  static constexpr size_t kMaxDomains = 10'000;
  static constexpr size_t kMaxBytes = 32 << 20;             // of all policies together
  static constexpr std::chrono::seconds kFetchTimeout{60};  // RFC 8461 section 3.3
  // What cannot be had under one id is asked for again after so long (section 3.3), doubling.
  static constexpr std::chrono::minutes kRetryFirst{5};
  static constexpr std::chrono::hours kRetryMax{1};
  static constexpr std::chrono::seconds kLeastBetween{
      1};  // fetches for one domain, whatever its ids
  static constexpr std::chrono::minutes kSweepPeriod{10};
  static constexpr std::chrono::hours kRenewAfter{24};  // or half its life, if that is less
  static constexpr size_t kMostRenewedAtOnce = 100;
  static constexpr std::chrono::minutes kLookAgain{5};  // whether the record names another id

  // How policy hosts are reached: those that mail's DNS names, so private ones only if allowed.
  struct Trust {
    std::shared_ptr<net::TlsClientContext> tls;
    std::vector<IpNetwork> allow_private;
  };
  using Done = TlsPolicySource::Done;

  // Reads what is stored in `directory`. Outlives the HTTPS client's last call, not the client.
  MtaStsPolicies(net::HttpsClient& https, EventLog& log, std::string directory);

  // Any thread; before the first ask().
  void setTrust(Trust trust);
  // Any thread. `id` is what the domain's record says now; nothing: it has none, or cannot be
  // asked. `done` is called once on `loop`.
  void ask(std::string domain, std::optional<std::string> id, net::Loop& loop, Done done);

 private:
  struct Waiting {
    net::Loop& loop;
    Done done;
  };
  // Of one domain; without a policy it is only known that a fetch failed, or is under way.
  struct Entry {
    std::optional<StoredPolicy> stored;
    bool fetching = false;
    std::string asked_id;  // of the last fetch
    unsigned failures = 0;
    SteadyTime retry_at{};    // with the same id
    SteadyTime not_before{};  // with any
    std::vector<Waiting> waiting;
  };

  void onAsk(const std::string& domain, const std::optional<std::string>& id, Waiting who);
  void tell(const Entry& entry, Waiting who) const;
  void onUnfetched(const std::string& domain, Entry& entry, const std::string& why);
  bool lives(const Entry& entry) const;
  bool isOld(const Entry& entry) const;
  bool mayFetch(const Entry& entry, const std::string& id) const;
  void fetch(const std::string& domain, Entry& entry, const std::string& id);
  void onFetched(const std::string& domain, const std::string& id, Result<net::HttpAnswer> answer);
  void keep(const std::string& domain, Entry& entry, const std::string& id, MtaStsPolicy policy);
  void makeRoom(const std::string& domain);
  void drop(std::map<std::string, Entry>::iterator which);
  void sweep();
  SteadyTime now() const { return https_.loop().now(); }

  net::HttpsClient& https_;
  EventLog& log_;
  MtaStsFiles files_;
  // On the loop only.
  Trust trust_;
  std::map<std::string, Entry> entries_;
  size_t bytes_ = 0;
  net::Deadline sweep_;
};

}  // namespace sluice::relay
