#include "relay/deliver/mta_sts_policies.h"

#include <algorithm>
#include <utility>

namespace sluice::relay {
namespace {

// Of memory, nearly.
size_t bytesOf(const StoredPolicy& stored) {
  size_t bytes = 500 + stored.domain.size();
  for (const std::string& line : stored.policy.lines) bytes += 64 + line.size();
  for (const std::string& pattern : stored.policy.mx) bytes += 64 + pattern.size();
  return bytes;
}

WallTime endOf(const StoredPolicy& stored) { return stored.fetched_at + stored.policy.max_age; }

std::string_view nameOf(DomainTlsPolicy::Mode mode) {
  switch (mode) {
    case DomainTlsPolicy::Mode::Enforce:
      return "enforce";
    case DomainTlsPolicy::Mode::Testing:
      return "testing";
    case DomainTlsPolicy::Mode::None:
      return "none";
  }
  return "none";
}

}  // namespace

MtaStsPolicies::MtaStsPolicies(net::HttpsClient& https, EventLog& log, std::string directory)
    : https_(https), log_(log), files_(std::move(directory)), sweep_([this] { sweep(); }) {
  for (StoredPolicy& stored : files_.load(kMaxDomains)) {
    if (bytes_ >= kMaxBytes) break;
    bytes_ += bytesOf(stored);
    Entry& entry = entries_[stored.domain];
    entry.stored = std::move(stored);
  }
  https_.loop().post([this] { sweep_.arm(https_.loop().deadlines(), kSweepPeriod); });
}

void MtaStsPolicies::setTrust(Trust trust) {
  https_.loop().post([this, trust = std::move(trust)]() mutable { trust_ = std::move(trust); });
}

void MtaStsPolicies::ask(std::string domain, std::optional<std::string> id, net::Loop& loop,
                         Done done) {
  https_.loop().post([this, domain = std::move(domain), id = std::move(id), &loop,
                      done = std::move(done)]() mutable {
    onAsk(domain, id, {loop, std::move(done)});
  });
}

bool MtaStsPolicies::lives(const Entry& entry) const {
  return entry.stored && Clock::system().wall() < endOf(*entry.stored);
}

// Old enough to be fetched anew before it ends.
bool MtaStsPolicies::isOld(const Entry& entry) const {
  const auto renew_after =
      std::min<std::chrono::seconds>(kRenewAfter, entry.stored->policy.max_age / 2);
  return Clock::system().wall() >= entry.stored->fetched_at + renew_after;
}

bool MtaStsPolicies::mayFetch(const Entry& entry, const std::string& id) const {
  if (entry.fetching || now() < entry.not_before || !trust_.tls) return false;
  return entry.failures == 0 || entry.asked_id != id || now() >= entry.retry_at;
}

// RFC 8461 section 5.1: a policy that is known counts until it ends, whatever becomes of the record
// and the policy host; a record that names another id has it fetched anew.
void MtaStsPolicies::onAsk(const std::string& domain, const std::optional<std::string>& id,
                           Waiting who) {
  const auto found = entries_.find(domain);
  if (found == entries_.end() && !id) return tell({}, std::move(who));
  if (found == entries_.end()) makeRoom(domain);
  Entry& entry = entries_[domain];
  const bool known = lives(entry);
  const bool outdated = id && (!known || entry.stored->id != *id);
  if (outdated && mayFetch(entry, *id)) fetch(domain, entry, *id);
  if (outdated && entry.fetching) {
    entry.waiting.push_back(std::move(who));
    return;
  }
  if (known && !outdated && isOld(entry) && mayFetch(entry, entry.stored->id)) {
    fetch(domain, entry, entry.stored->id);  // nobody waits for it
  }
  tell(entry, std::move(who));
}

void MtaStsPolicies::tell(const Entry& entry, Waiting who) const {
  std::shared_ptr<DomainTlsPolicy> policy;
  if (lives(entry)) {
    policy = std::make_shared<DomainTlsPolicy>();
    policy->mode = entry.stored->policy.mode;
    policy->mx_patterns = entry.stored->policy.mx;
    policy->lines = entry.stored->policy.lines;
    const auto left = endOf(*entry.stored) - Clock::system().wall();
    policy->valid_until =
        Clock::system().steady() + std::min<std::chrono::microseconds>(left, kLookAgain);
  }
  who.loop.post([done = std::move(who.done), policy = std::move(policy)]() mutable {
    done(std::move(policy));
  });
}

void MtaStsPolicies::fetch(const std::string& domain, Entry& entry, const std::string& id) {
  entry.fetching = true;
  entry.asked_id = id;
  entry.not_before = now() + kLeastBetween;
  net::HttpsRequest request;
  request.url.host = "mta-sts." + domain;
  request.url.target = "/.well-known/mta-sts.txt";
  request.trust = trust_.tls;
  request.allow_private = trust_.allow_private;
  request.time_limit = kFetchTimeout;
  request.max_body_bytes = kMaxPolicyBytes;
  https_.fetch(std::move(request), [this, domain, id](Result<net::HttpAnswer> answer) {
    onFetched(domain, id, std::move(answer));
  });
}

void MtaStsPolicies::onFetched(const std::string& domain, const std::string& id,
                               Result<net::HttpAnswer> answer) {
  const auto found = entries_.find(domain);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  entry.fetching = false;
  auto policy = answer ? readMtaStsAnswer(*answer) : tl::unexpected<Error>(answer.error());
  if (policy) {
    keep(domain, entry, id, std::move(*policy));
  } else if (policy.error().code != Errc::Cancelled) {
    onUnfetched(domain, entry, policy.error().detail);
  }
  for (Waiting& who : std::exchange(entry.waiting, {})) tell(entry, std::move(who));
}

void MtaStsPolicies::keep(const std::string& domain, Entry& entry, const std::string& id,
                          MtaStsPolicy policy) {
  const bool news = !lives(entry) || entry.stored->policy.lines != policy.lines;
  if (entry.stored) bytes_ -= bytesOf(*entry.stored);
  entry.failures = 0;
  entry.stored = StoredPolicy{domain, id, Clock::system().wall(), std::move(policy)};
  bytes_ += bytesOf(*entry.stored);
  if (const auto saved = files_.save(*entry.stored); !saved) {
    log_.logLimited("mta_sts_not_stored", {LogLevel::Warn,
                                           "mta_sts_not_stored",
                                           {{"domain", domain}, {"reason", saved.error().detail}}});
  }
  if (!news) return;
  log_.log({LogLevel::Info,
            "mta_sts_policy",
            {{"domain", domain},
             {"mode", std::string(nameOf(entry.stored->policy.mode))},
             {"id", id},
             {"max_age_s", static_cast<int64_t>(entry.stored->policy.max_age.count())}}});
}

void MtaStsPolicies::onUnfetched(const std::string& domain, Entry& entry, const std::string& why) {
  const auto rest =
      std::min<std::chrono::seconds>(kRetryMax, kRetryFirst * (1 << std::min(entry.failures, 8U)));
  ++entry.failures;
  entry.retry_at = now() + rest;
  log_.logLimited("mta_sts_failed " + domain,
                  {LogLevel::Warn,
                   "mta_sts_failed",
                   {{"domain", domain}, {"reason", why}, {"known", lives(entry)}}});
}

// Of what strangers can make us remember there is an end: what proved nothing goes first.
void MtaStsPolicies::makeRoom(const std::string& domain) {
  if (entries_.size() < kMaxDomains && bytes_ < kMaxBytes) return;
  for (auto it = entries_.begin(); it != entries_.end();) {
    const auto next = std::next(it);
    if (!it->second.fetching && !lives(it->second)) drop(it);
    it = next;
  }
  // Then those that stand behind the new one, wherever that is: no order for anybody to play with.
  auto it = entries_.lower_bound(domain);
  for (size_t i = entries_.size(); i > 0; --i) {
    if (entries_.size() < kMaxDomains && bytes_ < kMaxBytes) return;
    if (it == entries_.end()) it = entries_.begin();
    const auto next = std::next(it);
    if (!it->second.fetching) drop(it);
    it = next;
  }
}

void MtaStsPolicies::drop(std::map<std::string, Entry>::iterator which) {
  if (which->second.stored) {
    bytes_ -= bytesOf(*which->second.stored);
    files_.remove(which->first);
  }
  entries_.erase(which);
}

// Renews what is old, also for domains that get no mail now: whoever cuts off their record and host
// when the next message comes must not find us without.
void MtaStsPolicies::sweep() {
  sweep_.arm(https_.loop().deadlines(), kSweepPeriod);
  size_t renewed = 0;
  for (auto it = entries_.begin(); it != entries_.end();) {
    const auto next = std::next(it);
    Entry& entry = it->second;
    if (!entry.fetching && !lives(entry) && now() >= entry.retry_at) {
      drop(it);
    } else if (lives(entry) && isOld(entry) && mayFetch(entry, entry.stored->id) &&
               renewed < kMostRenewedAtOnce) {
      ++renewed;
      fetch(it->first, entry, entry.stored->id);
    }
    it = next;
  }
}

}  // namespace sluice::relay
