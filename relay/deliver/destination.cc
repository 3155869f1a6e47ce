#include "relay/deliver/destination.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace sluice::relay {
namespace {

constexpr double kFirstWindow = 5;  // connections before strangers have shown themselves happy
constexpr unsigned kBreaksBeforeRest = 3;              // connections that broke one after the other
constexpr std::chrono::milliseconds kSharePeriod{50};  // at which idle connections are offered
// A host that takes a message within this time is sent the next one behind it, up to so many,
// rather than each on a connection of its own: that costs both sides fewer packets.
constexpr std::chrono::milliseconds kQuickHost{5};
constexpr size_t kMessagesBehindEachOther = 4;
constexpr std::chrono::milliseconds kPatience{20};  // with a quick host that became slow
constexpr size_t kShallow = 8;  // transactions under way on a connection if work is scarce
constexpr std::chrono::milliseconds kTopUpPeriod{8};
constexpr std::chrono::seconds kYieldPatience{1};
constexpr size_t kKeysLookedAt = 32;
constexpr size_t kFairShare = 100;  // messages by a connection while other shards wait for one

// A smart host was chosen, and its limit set, by who answers for both: all of it from the start, of
// which each shard begins with its part.
double firstWindow(const HopSet& hops, size_t shards) {
  const double share = hops.limits.max_connections / static_cast<double>(shards);
  return hops.connector->route == Route::SmartHost ? std::max(share, kFirstWindow) : kFirstWindow;
}

}  // namespace

Destination::Destination(DeliveryContext& context, Settler& settler,
                         std::shared_ptr<const HopSet> hops, Parent& parent)
    : context_(context),
      settler_(settler),
      hops_(std::move(hops)),
      parent_(parent),
      budget_(context.budgets.get(hops_->identity, hops_->limits)),
      window_(firstWindow(*hops_, context.budgets.shards())) {
  rest_.onDue([this] { parent_.onRested(*this); });
  token_.onDue([this] { wake(); });
  patience_.onDue([this] { useIdle(); });
  top_up_.onDue([this] { topUp(); });
  share_.onDue([this] { shareIdle(); });
}

Destination::~Destination() {
  for (size_t i = 0; i < sessions_.size(); ++i) budget_->giveBack();
}

void Destination::refresh(std::shared_ptr<const HopSet> hops) {
  hops_ = std::move(hops);
  budget_ = context_.budgets.get(hops_->identity, hops_->limits);
}

void Destination::addReady(const queue::QueueKey& key) {
  if (is_ready_.try_emplace(key).second) ready_keys_.push_back(key);
  wake();
}

void Destination::forgetReady(const queue::QueueKey& key) {
  if (is_ready_.erase(key) == 0) return;
  ready_keys_.erase(std::find(ready_keys_.begin(), ready_keys_.end(), key));
}

void Destination::forgetEmpty() {
  std::erase_if(ready_keys_, [this](const queue::QueueKey& key) {
    if (context_.queue.readyGroups(key) > 0) return false;
    is_ready_.erase(key);
    return true;
  });
}

void Destination::wake() {
  if (draining_ || resting() || ready_keys_.empty() || token_.armed()) return;
  // Idle connections first, the last used one first; pumping one may change the list.
  const size_t wanted = connectionsWorth(backlog());
  while (!idle_.empty() && !ready_keys_.empty() && !token_.armed()) {
    if (sessions_.size() - idle_.size() >= wanted) return trustTheBusy();
    ClientSession* session = idle_.back();
    idle_.pop_back();
    session->pump();
  }
  openSessions();
  if (!ready_keys_.empty() && sessions_.size() > connecting_ && !top_up_.armed()) {
    top_up_.arm(context_.loop.deadlines(), kTopUpPeriod);
  }
}

// Over a long path the next answer is far away: what came meanwhile rides behind what is under way.
void Destination::topUp() {
  if (draining_ || resting() || ready_keys_.empty() || token_.armed()) return;
  if (sessions_.size() == connecting_) return;
  useIdle();  // a quick host's busy connections were trusted for long enough
  std::vector<ClientSession*> sessions;
  for (const auto& session : sessions_) {
    if (session->underWay() < kShallow && session->waitsLong()) sessions.push_back(session.get());
  }
  top_up_.arm(context_.loop.deadlines(), kTopUpPeriod);
  std::sort(sessions.begin(), sessions.end(),
            [](const auto* a, const auto* b) { return a->underWay() < b->underWay(); });
  for (ClientSession* session : sessions) {
    if (ready_keys_.empty() || token_.armed()) return;
    session->pump();
  }
}

// How many connections are to be busy with so many messages.
size_t Destination::connectionsWorth(size_t waiting) const {
  if (impatient_ || pace_ > kQuickHost) return waiting + sessions_.size();
  return (waiting + kMessagesBehindEachOther - 1) / kMessagesBehindEachOther;
}

// However quick the host was.
void Destination::useIdle() {
  impatient_ = true;
  wake();
  impatient_ = false;
}

void Destination::notePace(Duration took) {
  pace_ = pace_ == Duration::max() ? took : pace_ + (took - pace_) / 8;
}

// Groups that wait, as far as it matters for opening another connection.
size_t Destination::backlog() const {
  if (ready_keys_.empty()) return 0;
  if (ready_keys_.size() > 1) return ready_keys_.size();
  return context_.queue.readyGroups(ready_keys_.front());
}

// Many transactions behind each other on one connection are for a backlog: what few there are go
// side by side.
bool Destination::mayGoDeeper(const ClientSession& session) const {
  if (!idle_.empty()) {
    return session.underWay() < (pace_ > kQuickHost ? 1 : kMessagesBehindEachOther);
  }
  if (session.underWay() < kShallow) return true;
  const auto enough = static_cast<size_t>(window_);
  size_t waiting = 0;
  for (size_t i = 0; i < std::min(ready_keys_.size(), kKeysLookedAt) && waiting < enough; ++i) {
    waiting += context_.queue.readyGroups(ready_keys_[i]);
  }
  return waiting >= enough;
}

void Destination::openSessions() {
  if (resting() || draining_ || token_.armed()) return;
  const auto most = std::min<size_t>(static_cast<size_t>(hops_->limits.max_connections),
                                     failures_ > 0 ? 1 : static_cast<size_t>(window_));
  if (sessions_.size() >= most) return;
  const size_t waiting = backlog();
  const size_t wanted = connectionsWorth(waiting);
  while (sessions_.size() < std::min(most, wanted) && connecting_ < waiting) {
    const size_t before = sessions_.size();
    if (!openOne()) return;
    // It may have ended at once, as when its hosts rest: then so would the next.
    if (sessions_.size() <= before || resting() || draining_) return;
  }
  if (waiting > 0 && sessions_.size() >= wanted) trustTheBusy();
}

// What waits is left to connections that are busy, for a while.
void Destination::trustTheBusy() {
  if (!patience_.armed()) patience_.arm(context_.loop.deadlines(), kPatience);
}

// Told once when a connection can be had; then again only if it was asked for again.
void Destination::claimLease() {
  // With less than our share our mail would wait behind another shard's.
  const auto claim = sessions_.size() < fairShare() ? DestinationBudget::Claim::Share
                                                    : DestinationBudget::Claim::BeyondShare;
  bool DestinationClaims::*const mine = claim == DestinationBudget::Claim::Share
                                            ? &DestinationClaims::share
                                            : &DestinationClaims::beyond_share;
  if (claims_.*mine) return;
  claims_.*mine = true;
  budget_->waitForLease(
      context_.loop, claim,
      [this, mine, alive = std::weak_ptr<char>(alive_),
       line = std::weak_ptr<DestinationBudget>(budget_)] {
        if (!alive.expired()) {
          claims_.*mine = false;
          wake();
        }
        // One that we do not want any more is the next one's.
        const auto budget = line.lock();
        if (budget && (budget->contested() || budget->wished()) && budget->tryLease())
          budget->giveBack();
      });
}

bool Destination::openOne() {
  if (!budget_->tryLease()) {
    claimLease();
    return false;
  }
  sessions_.push_back(
      std::make_unique<ClientSession>(context_, hops_, static_cast<ClientSession::Owner&>(*this)));
  context_.metricsOf(hops_->connector->name).connections.add(1);
  ++connecting_;
  sessions_.back()->start();
  return true;
}

// What of the limit is ours when every shard that has work for these hosts wants as much.
size_t Destination::fairShare() const {
  const auto shards = static_cast<size_t>(std::max(1L, budget_.use_count()));
  return std::max<size_t>(1, static_cast<size_t>(hops_->limits.max_connections) / shards);
}

bool Destination::mustYield(const ClientSession& session) {
  if (!budget_->contested()) {
    yielding_ = nullptr;
    return false;
  }
  if (yielding_ == &session) return true;
  const bool rich = sessions_.size() > fairShare() ||
                    budget_.use_count() > static_cast<long>(hops_->limits.max_connections);
  if (!rich || session.served() < kFairShare) return false;
  // One at a time, unless that one hangs: all of them would reconnect otherwise.
  const SteadyTime now = context_.loop.now();
  if (yielding_ && now - yielding_since_ < kYieldPatience) return false;
  yielding_ = &session;
  yielding_since_ = now;
  return true;
}

std::unique_ptr<Delivery> Destination::nextDelivery(ClientSession& session, size_t max_recipients) {
  if (draining_ || mustYield(session) || !mayGoDeeper(session)) return nullptr;
  for (size_t skipped = 0; skipped < ready_keys_.size();) {
    queue::QueueKey key = std::move(ready_keys_.front());
    ready_keys_.pop_front();
    if (parent_.suspended(*this, key)) {
      is_ready_.erase(key);
      continue;
    }
    std::unique_ptr<queue::Work> work = context_.queue.take(key);
    if (!work) {
      is_ready_.erase(key);
      continue;
    }
    ready_keys_.push_back(std::move(key));
    const Duration wait = budget_->takeToken(context_.loop.now());
    if (wait > Duration{}) {
      token_due_ = context_.loop.now() + std::chrono::duration_cast<SteadyTime::duration>(wait);
      token_.arm(context_.loop.deadlines(), wait);
      return nullptr;  // the Work goes back to where it was
    }
    auto delivery = std::make_unique<Delivery>(std::move(work), max_recipients);
    delivery->started = context_.loop.now();
    return delivery;
  }
  return nullptr;
}

void Destination::onSessionOpen(ClientSession&) {
  --connecting_;
  failures_ = 0;
  rest_reason_.clear();
}

void Destination::onSessionIdle(ClientSession& session) {
  if (draining_ || mustYield(session)) return session.quit();
  if (std::find(idle_.begin(), idle_.end(), &session) == idle_.end()) idle_.push_back(&session);
  if (!share_.armed()) share_.arm(context_.loop.deadlines(), kSharePeriod);
}

// Other shards may have come to wait for connections that idle here: who has less than his share
// gets one in any case; where we have no work at all, half of them go to who has more than his.
void Destination::shareIdle() {
  if (idle_.empty()) return;
  const bool workless = ready_keys_.empty() && idle_.size() == sessions_.size();
  size_t given = budget_->contested() ? 1 : 0;
  if (workless && budget_->wished()) given = (idle_.size() + 1) / 2;
  const std::vector<ClientSession*> leaving(idle_.begin(),
                                            idle_.begin() + static_cast<std::ptrdiff_t>(given));
  idle_.erase(idle_.begin(), idle_.begin() + static_cast<std::ptrdiff_t>(given));
  for (ClientSession* session : leaving) session->quit();
  if (!idle_.empty()) share_.arm(context_.loop.deadlines(), kSharePeriod);
}

AttemptPlace Destination::place(const ClientSession* session) const {
  AttemptPlace place;
  place.connector = hops_->connector->name;
  place.destination = name_;
  if (session) {
    place.mx = session->hostName();
    place.address = session->endpoint().toString();
    place.tls = session->tlsText();
    place.passes_dsn = session->passesDsn();
  }
  return place;
}

void Destination::settle(ClientSession& session, std::unique_ptr<Delivery> delivery,
                         const std::vector<RecipientVerdict>& verdicts) {
  for (const RecipientVerdict& one : verdicts) {
    const std::string& words = one.verdict.from_peer ? one.verdict.said : one.verdict.text;
    if (!words.empty()) last_reply_ = words;
  }
  AttemptPlace where = place(&session);
  where.took = context_.loop.now() - delivery->started;
  settler_.settle(delivery->releaseWork(), verdicts, where);
}

void Destination::onDone(ClientSession& session, std::unique_ptr<Delivery> delivery) {
  std::vector<RecipientVerdict> verdicts;
  verdicts.reserve(delivery->recipients.size());
  bool delivered = false;
  for (size_t i = 0; i < delivery->recipients.size(); ++i) {
    verdicts.push_back({delivery->recipientIndex(i), judge(*delivery, i)});
    delivered |= verdicts.back().verdict.kind == Verdict::Kind::Delivered;
  }
  breaks_in_a_row_ = 0;
  if (delivered) {
    grow();
    notePace(context_.loop.now() - delivery->started);
  }
  settle(session, std::move(delivery), verdicts);
  if (delivered) openSessions();  // a backlog that nobody adds to asks for them, too
}

void Destination::onUnfit(ClientSession& session, std::unique_ptr<Delivery> delivery,
                          const Verdict& verdict) {
  settler_.settleAll(delivery->releaseWork(), verdict, place(&session));
}

void Destination::onBroken(ClientSession& session, std::unique_ptr<Delivery> delivery,
                           const Break& how) {
  std::vector<RecipientVerdict> verdicts;
  for (size_t i = 0; i < delivery->recipients.size(); ++i) {
    verdicts.push_back({delivery->recipientIndex(i), judgeBroken(*delivery, i, how)});
  }
  settle(session, std::move(delivery), verdicts);
}

void Destination::grow() {
  window_ = std::min(window_ + 1, static_cast<double>(hops_->limits.max_connections));
}

void Destination::shrink() { window_ = std::max(1.0, window_ / 2); }

void Destination::onEnd(ClientSession& session, const std::optional<Error>& failure) {
  if (!session.wasOpen()) --connecting_;
  std::erase(idle_, &session);
  if (yielding_ == &session) yielding_ = nullptr;
  const auto found = std::find_if(sessions_.begin(), sessions_.end(),
                                  [&](const auto& one) { return one.get() == &session; });
  // Calls of the session may be on the stack: it goes on the next turn.
  context_.loop.defer([gone = std::shared_ptr<ClientSession>(std::move(*found))] {});
  sessions_.erase(found);
  context_.metricsOf(hops_->connector->name).connections.add(-1);
  budget_->giveBack();

  const bool useful = session.wasOpen() && session.served() > 0;
  if (failure && useful) {
    shrink();
    if (++breaks_in_a_row_ >= kBreaksBeforeRest && sessions_.empty()) {
      breaks_in_a_row_ = 0;
      return parent_.onUnreachable(*this, *failure);
    }
  }
  if (failure && !useful && failure->code != Errc::Cancelled) {
    last_reply_ = failure->detail;
    // Others are connected: one connection more than the hosts want. Else nobody answers.
    if (sessions_.size() > connecting_) {
      window_ = static_cast<double>(sessions_.size() - connecting_);
    } else if (connecting_ == 0 && !resting()) {
      return parent_.onUnreachable(*this, *failure);
    }
  }
  // Not after one that found no host: another one that is connecting decides, and says so.
  const bool wake_again = useful || !failure;
  context_.loop.defer([this, wake_again, alive = std::weak_ptr<char>(alive_)] {
    if (alive.expired()) return;
    if (wake_again) wake();
    if (sessions_.empty() && !resting()) forgetEmpty();
    if (!used()) parent_.onUnused(*this);
  });
}

void Destination::restFor(Duration rest, const Error& why) {
  if (failures_++ == 0) rests_since_ = context_.loop.now();
  rest_reason_ = why.detail;
  last_reply_ = why.detail;
  rests_until_ = context_.loop.now() + std::chrono::duration_cast<SteadyTime::duration>(rest);
  rest_.arm(context_.loop.deadlines(), rest);
}

void Destination::stopResting() {
  rest_.cancel();
  wake();
}

void Destination::drain() {
  draining_ = true;
  rest_.cancel();
  token_.cancel();
  ready_keys_.clear();
  is_ready_.clear();
  // quit() ends those that are not open yet, and that takes them out of the list.
  std::vector<ClientSession*> sessions;
  for (const auto& session : sessions_) sessions.push_back(session.get());
  for (ClientSession* session : sessions) session->quit();
}

void Destination::abortAll(const Error& why) {
  std::vector<ClientSession*> sessions;
  for (const auto& session : sessions_) sessions.push_back(session.get());
  for (ClientSession* session : sessions) session->abort(why);
}

std::string Destination::stateName() const {
  if (resting()) return "resting";
  if (token_.armed()) return "limited";
  if (sessions_.empty()) return claims_.share ? "limited" : "idle";
  if (sessions_.size() == connecting_) return "connecting";
  return idle_.size() == sessions_.size() ? "idle" : "delivering";
}

Destination::Hold Destination::hold() const {
  using What = Hold::What;
  Hold hold;
  if (resting()) {
    hold.what = What::Rests;
    hold.since = rests_since_;
    hold.until = rests_until_;
    return hold;
  }
  if (ready_keys_.empty()) return hold;
  if (token_.armed()) {
    hold.what = What::Rate;
    hold.until = token_due_;
    return hold;
  }
  const int most = hops_->limits.max_connections;
  const auto window = static_cast<int>(window_);
  hold.in_use = budget_->leased();
  hold.by_hosts = hold.in_use < most && static_cast<int>(sessions_.size()) >= window;
  hold.allowed = hold.by_hosts ? window : most;
  if (claims_.share || claims_.beyond_share || hold.in_use >= most || hold.by_hosts) {
    hold.what = What::Connections;
  } else {
    hold.what =
        !sessions_.empty() && sessions_.size() == connecting_ ? What::Connecting : What::Turn;
  }
  return hold;
}

}  // namespace sluice::relay
