#include "relay/deliver/dispatcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "net/smtp/path.h"
#include "relay/route/destination_name.h"
#include "relay/route/redirected_key.h"

namespace sluice::relay {
namespace {

constexpr int kSlice = 100;  // Works settled in one turn of the loop
constexpr std::chrono::seconds kUnroutableRest{60};
constexpr std::chrono::seconds kTidyPeriod{30};

bool permanent(Errc code) {
  return judgeUnreachable(Error{code, ""}).kind == Verdict::Kind::Bounced;
}

// Of a key whose mail goes where the DNS says.
std::string domainOfKey(const queue::QueueKey& key) {
  const auto redirected = parseRedirectedKey(key);
  if (redirected) return std::string(redirected->domain);
  const std::string_view way = withoutWish(key);
  return way.starts_with('=') ? std::string() : std::string(way);
}

std::string domainOfWork(const queue::Work& work) {
  const auto& path = work.envelope().recipients[work.recipients().front()].forward_path;
  return smtp::domainKey(smtp::domainOf(path)).value_or(std::string());
}

}  // namespace

Dispatcher::Dispatcher(DeliveryContext& context) : context_(context), settler_(context) {
  tidy_.onDue([this] { tidy(); });
  tidy_.arm(context_.loop.deadlines(), kTidyPeriod);
}

Dispatcher::~Dispatcher() = default;

Dispatcher::KeyRecord& Dispatcher::recordOf(const queue::QueueKey& key) {
  std::unique_ptr<KeyRecord>& record = keys_[key];
  if (!record) {
    record = std::make_unique<KeyRecord>();
    record->key = key;
  }
  return *record;
}

// ---------------------------------------------------------------- the way of a key

void Dispatcher::onReady(const queue::QueueKey& key) {
  if (draining_) return;
  const auto found = keys_.find(key);
  if (found != keys_.end()) {
    KeyRecord& record = *found->second;
    if (record.looking_up || record.rest.armed()) return;
    if (record.destination && context_.loop.now() < record.valid_until) {
      if (record.destination->resting()) {
        if (!record.no_way_round) {
          record.no_way_round = !goElsewhere(key, *record.destination->hops().connector);
        }
        return;
      }
      if (!isSuspended(key, record.destination)) record.destination->addReady(key);
      return;
    }
  }
  if (isSuspended(key, nullptr)) return;
  resolve(recordOf(key));
}

void Dispatcher::resolve(KeyRecord& record) {
  const auto routes = context_.router->routeOfKey(record.key);
  if (!routes) return rerouteAll(record.key);
  if (context_.loop.now() >= record.level_until) record.level = 0;
  const size_t level = std::min(record.level, routes->connectors.size() - 1);
  record.looking_up = true;
  const queue::QueueKey key = record.key;
  const SendConfig& connector = *routes->connectors[level];
  record.lookup = std::make_unique<HopLookup>(
      context_, connector, connector.route == Route::SmartHost ? std::string() : domainOfKey(key),
      wishOfKey(key), [this, key](Result<std::shared_ptr<const HopSet>> hops) {
        // On the next turn: the look-up may be on the stack, and is dropped by what follows.
        context_.loop.defer(
            [this, key, hops = std::move(hops)]() mutable { onHops(key, std::move(hops)); });
      });
  record.lookup->start();
}

void Dispatcher::onHops(const queue::QueueKey& key, Result<std::shared_ptr<const HopSet>> hops) {
  const auto found = keys_.find(key);
  if (found == keys_.end() || !found->second->looking_up) return;
  KeyRecord& record = *found->second;
  record.looking_up = false;
  record.lookup.reset();
  if (draining_) return;
  if (!hops) return onLookupFailed(record, hops.error());
  record.failures = 0;
  record.why.clear();
  attach(record, std::move(*hops));
}

void Dispatcher::attach(KeyRecord& record, std::shared_ptr<const HopSet> hops) {
  const queue::QueueKey key = record.key;
  record.valid_until = hops->valid_until;
  std::unique_ptr<Destination>& slot = destinations_[hops->identity];
  if (slot) {
    slot->refresh(hops);
  } else {
    slot = std::make_unique<Destination>(context_, settler_, hops,
                                         static_cast<Destination::Parent&>(*this));
  }
  if (record.destination && record.destination != slot.get()) {
    attached_[record.destination].keys.erase(key);
    record.destination->forgetReady(key);
  }
  record.destination = slot.get();
  Destination& destination = *slot;
  Attached& attached = attached_[&destination];
  attached.keys.insert(key);
  const bool one_domain = attached.keys.size() == 1 && !isSmartHostKey(key);
  destination.setName(destinationName(one_domain ? withoutWish(key) : "", hops->host_names));
  if (attached.keys.size() >= attached.prune_at) prune(destination, attached, key);
  if (destination.resting()) {
    record.why = destination.restReason();
    record.no_way_round = !goElsewhere(key, *hops->connector);
    return;
  }
  if (!isSuspended(key, &destination)) destination.addReady(key);
}

// A destination that is always busy may serve any number of domains in turn.
void Dispatcher::prune(Destination& destination, Attached& attached, const queue::QueueKey& but) {
  destination.forgetEmpty();
  std::erase_if(attached.keys, [&](const queue::QueueKey& key) {
    if (key == but || context_.queue.readyGroups(key) > 0) return false;
    const auto record = keys_.find(key);
    if (record != keys_.end() && record->second->destination == &destination) {
      record->second->destination = nullptr;
      dropIfUnused(key);
    }
    return true;
  });
  attached.prune_at = std::max(kFirstPrune, attached.keys.size() * 2);
}

void Dispatcher::onLookupFailed(KeyRecord& record, const Error& why) {
  const queue::QueueKey key = record.key;
  AttemptPlace place;
  place.destination = key;
  const auto routes = context_.router->routeOfKey(key);
  if (routes) place.connector = routes->best().name;
  if (permanent(why.code)) {
    keys_.erase(key);
    return bounceAll(key, why, place);
  }
  ++record.failures;
  const DeliveryLimits limits = routes ? routes->best().limits : DeliveryLimits();
  restKey(record, restTime(record.failures, limits), why);
  deferOne(key, why, place);
}

Duration Dispatcher::restTime(unsigned failures, const DeliveryLimits& limits) const {
  return restAfter(failures, limits.host_backoff, context_.config->queue.retry_first);
}

void Dispatcher::restKey(KeyRecord& record, Duration rest, const Error& why) {
  if (record.why.empty()) record.rests_since = context_.loop.now();
  record.why = why.detail;
  record.rests_until = context_.loop.now() + std::chrono::duration_cast<SteadyTime::duration>(rest);
  record.rest.onDue([this, key = record.key] {
    context_.queue.readyGroups(key) > 0 ? onReady(key) : dropIfUnused(key);
  });
  record.rest.arm(context_.loop.deadlines(), rest);
  sweep(record.key);
}

// ---------------------------------------------------------------- when a way is closed

void Dispatcher::onUnreachable(Destination& destination, const Error& why) {
  const HopSet& hops = destination.hops();
  const AttemptPlace place = destination.place(nullptr);
  const std::deque<queue::QueueKey> ready = destination.readyKeys();
  destination.restFor(restTime(destination.failures() + 1, hops.limits), why);
  const Error reason = why;
  const SendConfig& connector = *hops.connector;
  bool told = false;
  for (const queue::QueueKey& key : ready) {
    if (permanent(reason.code)) {
      destination.forgetReady(key);
      bounceAll(key, reason, place);
    } else if (!goElsewhere(key, connector)) {
      // One message bears the reason; the others wait behind the host without being touched.
      if (!told) deferOne(key, reason, place);
      told = true;
      sweep(key);
    }
  }
  context_.log.logLimited("unreachable " + destination.name(),
                          {LogLevel::Warn,
                           "destination_unreachable",
                           {{"destination", destination.name()},
                            {"connector", place.connector},
                            {"reason", reason.detail}}});
}

// The key's mail goes by a later connector until the one that failed has had its rest.
void Dispatcher::takeLevel(KeyRecord& record, size_t level, const SendConfig& failed) {
  const bool noted = record.level_until > context_.loop.now();
  record.level = level;
  record.level_until = context_.loop.now() +
                       std::chrono::duration_cast<SteadyTime::duration>(failed.limits.host_backoff);
  if (!noted) levelled_.emplace_back(record.level_until, record.key);
}

// The next connector for this key, if the routes have one; false if there is none.
bool Dispatcher::goElsewhere(const queue::QueueKey& key, const SendConfig& failed) {
  if (parseRedirectedKey(key)) return false;  // it was told which way to go
  if (isSmartHostKey(key)) return moveToNext(key, failed);
  const auto routes = context_.router->routeOfKey(key);
  if (!routes) return false;
  const auto at = std::find(routes->connectors.begin(), routes->connectors.end(), &failed);
  if (at == routes->connectors.end() || at + 1 == routes->connectors.end()) return false;
  KeyRecord& record = recordOf(key);
  if (record.destination) record.destination->forgetReady(key);
  takeLevel(record, static_cast<size_t>(at + 1 - routes->connectors.begin()), failed);
  resolve(record);
  return true;
}

// Messages for a smart host that rests are queued under the key of their next connector; each
// attempt that fails brings them back. False if the first one has nowhere to go.
bool Dispatcher::moveToNext(const queue::QueueKey& key, const SendConfig& failed) {
  bool moved = false;
  for (int i = 0; i < kSlice; ++i) {
    std::unique_ptr<queue::Work> work = context_.queue.take(key);
    if (!work) return moved;
    const std::string domain = domainOfWork(*work);
    const auto routes = context_.router->route(domain);
    if (!routes) return moved;
    const auto at = std::find_if(routes->connectors.begin(), routes->connectors.end(),
                                 [&](const SendConfig* one) { return one->name == failed.name; });
    if (at == routes->connectors.end() || at + 1 == routes->connectors.end()) return moved;
    const SendConfig& next = **(at + 1);
    queue::QueueKey to = withWish(domain, wishOfKey(key));
    if (next.route == Route::SmartHost) {
      to = withWish("=" + next.name, wishOfKey(key));
    } else {
      takeLevel(recordOf(to), static_cast<size_t>(at + 1 - routes->connectors.begin()), failed);
    }
    settler_.moveTo(std::move(work), to);
    moved = true;
  }
  context_.loop.defer([this, key] { onReady(key); });
  return true;
}

// No connector serves this key any more: its messages are queued as the routes now say.
void Dispatcher::rerouteAll(const queue::QueueKey& key) {
  for (int i = 0; i < kSlice; ++i) {
    std::unique_ptr<queue::Work> work = context_.queue.take(key);
    if (!work) {
      keys_.erase(key);
      return;
    }
    const auto to = context_.router->queueKey(domainOfWork(*work), wishOf(work->envelope()));
    if (to && *to != key) {
      settler_.moveTo(std::move(work), *to);
      continue;
    }
    work.reset();
    const Error why{Errc::NotFound, "no send connector matches " + key};
    KeyRecord& record = recordOf(key);
    restKey(record, std::min<Duration>(kUnroutableRest, context_.config->queue.retry_first), why);
    AttemptPlace place;
    place.destination = key;
    return deferOne(key, why, place);
  }
  context_.loop.defer([this, key] { rerouteAll(key); });
}

void Dispatcher::bounceAll(const queue::QueueKey& key, const Error& why,
                           const AttemptPlace& place) {
  const Verdict verdict = judgeUnreachable(why);
  for (int i = 0; i < kSlice; ++i) {
    std::unique_ptr<queue::Work> work = context_.queue.take(key);
    if (!work) return;
    settler_.settleAll(std::move(work), verdict, place);
  }
  context_.loop.defer([this, key, why, place] { bounceAll(key, why, place); });
}

void Dispatcher::deferOne(const queue::QueueKey& key, const Error& why, const AttemptPlace& place) {
  std::unique_ptr<queue::Work> work = context_.queue.take(key);
  if (!work) return;
  Verdict verdict = judgeUnreachable(why);
  verdict.kind = Verdict::Kind::Deferred;
  settler_.settleAll(std::move(work), verdict, place);
}

void Dispatcher::onRested(Destination& destination) {
  // A connection that fails would be told the reason anew; keys are looked up again if they
  // expired. Those whose messages are all deferred meanwhile ask for nothing.
  destination.forgetEmpty();
  const std::set<queue::QueueKey> keys = attached_[&destination].keys;
  for (const queue::QueueKey& key : keys) {
    recordOf(key).no_way_round = false;
    if (context_.queue.readyGroups(key) > 0) onReady(key);
  }
  destination.wake();
  if (!destination.used()) onUnused(destination);
}

void Dispatcher::onUnused(Destination& destination) {
  context_.loop.defer([this, identity = destination.hops().identity] {
    const auto found = destinations_.find(identity);
    if (found == destinations_.end() || found->second->used()) return;
    for (const queue::QueueKey& key : attached_[found->second.get()].keys) {
      const auto record = keys_.find(key);
      if (record == keys_.end()) continue;
      record->second->destination = nullptr;
      dropIfUnused(key);
    }
    attached_.erase(found->second.get());
    destinations_.erase(found);
    if (draining_) finishDrain();
  });
}

void Dispatcher::dropIfUnused(const queue::QueueKey& key) {
  const auto found = keys_.find(key);
  if (found == keys_.end()) return;
  const KeyRecord& record = *found->second;
  if (!record.destination && !record.looking_up && !record.rest.armed() &&
      record.level_until <= context_.loop.now()) {
    keys_.erase(found);
  }
}

// ---------------------------------------------------------------- what waits too long

void Dispatcher::sweep(const queue::QueueKey& key) {
  const WallTime now = context_.loop.wallNow();
  const QueueConfig& config = context_.config->queue;
  const WallTime notice_before =
      config.delay_notice.count() > 0 ? now - config.delay_notice : WallTime{};
  context_.queue.sweepOverdue(key, notice_before, now - config.lifetime);
}

void Dispatcher::tidy() {
  tidy_.arm(context_.loop.deadlines(),
            std::min<Duration>(
                kTidyPeriod, context_.config->queue.lifetime / 4 + std::chrono::milliseconds(100)));
  while (!levelled_.empty() && levelled_.front().first <= context_.loop.now()) {
    const queue::QueueKey key = std::move(levelled_.front().second);
    levelled_.pop_front();
    const auto found = keys_.find(key);
    if (found == keys_.end()) continue;
    const SteadyTime until = found->second->level_until;
    if (until > context_.loop.now()) levelled_.emplace_back(until, key);
    dropIfUnused(key);
  }
  sweepSuspended();
}

void Dispatcher::sweepSuspended() {
  if (suspended_.empty() || draining_) return;
  for (const queue::QueueKey& key : context_.queue.readyKeys()) {
    const auto found = keys_.find(key);
    if (isSuspended(key, found == keys_.end() ? nullptr : found->second->destination)) sweep(key);
  }
}

void Dispatcher::onOverdue(std::unique_ptr<queue::Work> work) {
  AttemptPlace place;
  std::string why = "delivery is suspended";
  const auto found = keys_.find(work->key());
  if (found != keys_.end()) {
    const KeyRecord& record = *found->second;
    if (!record.why.empty()) why = record.why;
    if (record.destination) {
      place = record.destination->place(nullptr);
      if (!record.destination->restReason().empty()) why = record.destination->restReason();
    }
  }
  if (place.destination.empty()) place.destination = nameFor(work->key());
  settler_.settleOverdue(std::move(work), why, place);
}

// ---------------------------------------------------------------- start, change, end

void Dispatcher::onRoutesChanged() {
  std::vector<queue::QueueKey> keys = context_.queue.readyKeys();
  for (auto& [key, record] : keys_) {
    record->rest.cancel();
    record->valid_until = {};
    record->level = 0;
    record->level_until = {};
    if (record->destination) record->destination->forgetReady(key);
  }
  for (const queue::QueueKey& key : keys) onReady(key);
}

void Dispatcher::drain(Task done) {
  draining_ = true;
  drained_ = std::move(done);
  for (const auto& [identity, destination] : destinations_) destination->drain();
  finishDrain();
}

void Dispatcher::finishDrain() {
  const bool connected =
      std::any_of(destinations_.begin(), destinations_.end(),
                  [](const auto& entry) { return entry.second->connections() > 0; });
  if (connected || !drained_) return;
  Task done = std::move(drained_);
  drained_ = nullptr;
  done();
}

void Dispatcher::abortAll() {
  for (const auto& [identity, destination] : destinations_) {
    destination->abortAll({Errc::Cancelled, "this relay is shutting down"});
  }
  finishDrain();
}

}  // namespace sluice::relay
