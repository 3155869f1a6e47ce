// What does DNS say of one name and type, with its aliases followed: from the cache, from a
// question that is already open, or from a new one?
#include "net/dns/record_fetcher.h"

#include <algorithm>

namespace sluice::net {

struct RecordFetcher::Fetch {
  std::string key;
  std::string name;  // asked for in the end
  DnsType type;
  SteadyTime begun;
  std::string end;  // where its aliases have led so far
  int aliases = 0;
  int questions = 0;
  uint32_t ttl_s = UINT32_MAX;  // the least on the way
  bool authentic = true;        // all of the way
  std::vector<Waiter*> waiters;
};

RecordFetcher::Waiter::Waiter(Fetch& fetch, Done done) : fetch_(&fetch), done_(std::move(done)) {
  fetch.waiters.push_back(this);
}

RecordFetcher::Waiter::~Waiter() {
  if (fetch_ != nullptr) std::erase(fetch_->waiters, this);
}

RecordFetcher::RecordFetcher(Loop& loop, DnsTransport& transport, const ResolverOptions& options)
    : loop_(loop),
      transport_(transport),
      trust_ad_(options.trust_ad),
      metrics_(options.metrics),
      cache_(options.cache_entries) {}

RecordFetcher::~RecordFetcher() {
  for (const auto& [key, fetch] : fetches_) {
    for (Waiter* waiter : fetch->waiters) waiter->fetch_ = nullptr;
  }
}

SharedRecordSet RecordFetcher::cached(const std::string& name, DnsType type) {
  return cache_.find(name, type, loop_.now());
}

std::unique_ptr<RecordFetcher::Waiter> RecordFetcher::fetch(const std::string& name, DnsType type,
                                                            Done done) {
  std::string key = DnsCache::keyOf(name, type);
  auto& slot = fetches_[key];
  const bool new_one = slot == nullptr;
  if (new_one) {
    slot = std::make_unique<Fetch>();
    slot->key = std::move(key);
    slot->name = slot->end = name;
    slot->type = type;
    slot->begun = loop_.now();
  }
  std::unique_ptr<Waiter> waiter(new Waiter(*slot, std::move(done)));
  if (new_one) ask(*slot);
  return waiter;
}

void RecordFetcher::ask(Fetch& fetch) {
  ++fetch.questions;
  transport_.ask(fetch.end, fetch.type, [this, &fetch](Result<std::string> answer) {
    onAnswer(fetch, std::move(answer));
  });
}

void RecordFetcher::onAnswer(Fetch& fetch, Result<std::string> answer) {
  if (!answer) return finish(fetch, failedRecordSet(answer.error().detail, loop_.now()));
  const auto message = decodeAnswer(*answer, fetch.type);
  if (!message) return finish(fetch, failedRecordSet(message.error().detail, loop_.now()));
  if (message->rcode != DnsRcode::NoError && message->rcode != DnsRcode::NxDomain) {
    return finish(fetch, failedRecordSet("name servers: " + toString(message->rcode), loop_.now()));
  }
  follow(fetch, *message);
}

void RecordFetcher::follow(Fetch& fetch, const DnsMessage& message) {
  AliasChain chain = followAliases(message, fetch.end, fetch.type, kMaxAliases - fetch.aliases);
  fetch.aliases += chain.aliases;
  fetch.ttl_s = chain.ttl_s = std::min(fetch.ttl_s, chain.ttl_s);
  fetch.authentic = fetch.authentic && message.authentic;
  if (chain.too_long)
    return finish(fetch, failedRecordSet("aliases (CNAME) in a loop, or too many", loop_.now()));

  const bool rest_is_missing = chain.records.empty() && chain.aliases > 0 &&
                               message.rcode == DnsRcode::NoError && !message.negative_ttl_s;
  if (rest_is_missing) {
    if (fetch.questions == kMaxQuestionsPerFetch) {
      return finish(fetch, failedRecordSet("aliases (CNAME) take too many questions", loop_.now()));
    }
    fetch.end = std::move(chain.end);
    return ask(fetch);
  }
  RecordSet set = recordSetOf(message, chain, fetch.type, loop_.now());
  set.authentic = trust_ad_ && fetch.authentic;
  if (fetch.aliases > 0) set.canonical = std::move(chain.end);
  finish(fetch, std::move(set));
}

void RecordFetcher::finish(Fetch& fetch, RecordSet set) {
  observe(fetch, set.outcome);
  const auto shared = std::make_shared<const RecordSet>(std::move(set));
  cache_.store(fetch.name, fetch.type, shared);
  // Out of the map first: a waiter may ask the same again, and others may leave meanwhile.
  const auto ended = fetches_.extract(fetch.key);
  std::vector<Waiter*>& waiters = ended.mapped()->waiters;
  while (!waiters.empty()) {
    Waiter* const waiter = waiters.back();
    waiters.pop_back();
    waiter->fetch_ = nullptr;
    Done done = std::move(waiter->done_);
    done(shared);  // may destroy the waiter
  }
}

void RecordFetcher::observe(const Fetch& fetch, RecordSet::Outcome outcome) {
  if (metrics_ == nullptr) return;
  const auto type_index = [type = fetch.type]() -> size_t {  // in DnsMetrics::kTypes
    switch (type) {
      case DnsType::Mx:
        return 0;
      case DnsType::A:
        return 1;
      case DnsType::Aaaa:
        return 2;
      case DnsType::Txt:
        return 3;
      case DnsType::Tlsa:
        return 4;
      case DnsType::Ptr:  // asked for by hand only
      case DnsType::Cname:
      case DnsType::Soa:
        break;
    }
    return 0;
  }();
  // The outcomes stand in the order of DnsMetrics::kResults.
  const std::chrono::duration<double> took = loop_.now() - fetch.begun;
  metrics_->seconds[type_index][static_cast<size_t>(outcome)].observe(took.count());
}

}  // namespace sluice::net
