#include "relay/admin/relay_control.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <unordered_map>

#include "relay/admin/api_tracking.h"
#include "relay/admin/message_queries.h"
#include "relay/admin/shard_calls.h"
#include "relay/admin/survey.h"
#include "relay/admin/why.h"

namespace sluice::relay {
namespace {

using queue::ActionResult;
using queue::MessageFilter;
using queue::MessageId;
using queue::RecipientState;

constexpr std::string_view kSuspended = "suspended/";  // names of the settings that keep it
constexpr const char* kIsSuspended = "suspended";
constexpr size_t kPage = 500;  // messages looked at in one step of a longer work

// Whether ready or deferred is seen may depend on a destination's rest, which the queue knows
// nothing of.
bool stateIsOurs(const MessageFilter& filter) {
  return filter.state == RecipientState::Ready || filter.state == RecipientState::Deferred;
}

// Whether the queue alone cannot tell which messages are meant.
bool mustLook(const MessageChoice& choice) { return stateIsOurs(choice) || choice.looksCloser(); }

size_t countIn(const MessageView& message, RecipientState state) {
  return static_cast<size_t>(
      std::count_if(message.recipients.begin(), message.recipients.end(),
                    [state](const auto& recipient) { return recipient.status.state == state; }));
}

}  // namespace

struct RelayControl::Survey {
  std::vector<QueueStatus> queues;
  std::vector<DestinationStatus> standing;

  std::set<queue::QueueKey> keysOf(const std::string& destination) const {
    std::set<queue::QueueKey> keys;
    const auto add = [&](const DestinationStatus& known) {
      if (known.destination == destination) keys.insert(known.keys.begin(), known.keys.end());
    };
    for (const QueueStatus& queue : queues) add(queue.destination);
    for (const DestinationStatus& known : standing) add(known);
    return keys;
  }
  bool knows(const std::string& destination) const {
    const auto named = [&](const std::string& name) { return name == destination; };
    return std::any_of(queues.begin(), queues.end(),
                       [&](const auto& queue) { return named(queue.destination.destination); }) ||
           std::any_of(standing.begin(), standing.end(),
                       [&](const auto& known) { return named(known.destination); });
  }
};

Shards RelayControl::shards() const {
  return {&parts_.queue, parts_.loops, parts_.views, parts_.action_timeout};
}

Shards RelayControl::acting() const {
  Shards shards = this->shards();
  shards.timeout = parts_.act_timeout;
  return shards;
}

Result<RelayControl::SharedSurvey> RelayControl::survey() {
  return surveys_.get([this] { return askForSurvey(); });
}

Result<RelayControl::SharedSurvey> RelayControl::askForSurvey() {
  auto standing = parts_.standing_keys ? parts_.standing_keys() : std::vector<queue::QueueKey>();
  const auto ask = [queue = &parts_.queue, views = parts_.views, standing = std::move(standing)](
                       size_t index, Answer<ShardSurvey> answer) {
    answer.give(lookAt(queue->shard(index), *views[index], standing));
  };
  ASSIGN_OR_RETURN(auto shards, askShards<ShardSurvey>(parts_.loops, parts_.timeout, ask));
  Survey survey;
  for (const ShardSurvey& shard : shards) {
    survey.standing.insert(survey.standing.end(), shard.standing.begin(), shard.standing.end());
  }
  survey.queues = mergeSurveys(std::move(shards));
  auto suspended = suspensions();
  const auto mark = [](DestinationStatus& destination, std::optional<WallTime> since) {
    destination.state = kIsSuspended;
    destination.why = suspendedByHand(destination.destination);
    destination.why.since = since;
  };
  for (QueueStatus& queue : survey.queues) {
    const auto found = suspended.extract(queue.destination.destination);
    if (found) mark(queue.destination, found.mapped());
  }
  for (const auto& [name, since] : suspended) {  // without mail
    mark(survey.queues.emplace_back(QueueStatus{.destination = {.destination = name}}).destination,
         since);
  }
  return std::make_shared<const Survey>(std::move(survey));
}

Result<RelayControl::SharedSurvey> RelayControl::recentSurvey() {
  constexpr std::chrono::milliseconds kDear{20};
  constexpr int kWorth = 4;  // a survey serves so many times as long as it took
  const SteadyTime begun = Clock::system().steady();
  {
    const std::lock_guard lock(recent_mutex_);
    if (recent_ && begun < recent_until_) return recent_;
    recent_.reset();
  }
  ASSIGN_OR_RETURN(SharedSurvey fresh, survey());
  const SteadyTime now = Clock::system().steady();
  if (now - begun > kDear) {
    const std::lock_guard lock(recent_mutex_);
    recent_ = fresh;
    recent_until_ = now + kWorth * (now - begun);
  }
  return fresh;
}

// After something was changed by hand: who looks now wants to see it.
void RelayControl::forgetRecent() {
  const std::lock_guard lock(recent_mutex_);
  recent_.reset();
}

Result<void> RelayControl::onViews(const std::function<void(DestinationView&)>& what) {
  const auto ask = [views = parts_.views, what](size_t index, Answer<bool> answer) {
    what(*views[index]);
    answer.give(true);
  };
  const auto done = askShards<bool>(parts_.loops, parts_.timeout, ask);
  forgetRecent();
  if (!done) return tl::unexpected<Error>(done.error());
  return {};
}

Readiness RelayControl::readiness() {
  const RelayStatus base = parts_.status();
  const queue::StoreHealth store = parts_.queue.health();
  if (base.draining) return {false, "the relay is shutting down"};
  if (!base.ready) return {false, base.why_not_ready.empty() ? "starting" : base.why_not_ready};
  if (!store.ready || !store.writable) {
    return {false, store.why_not.empty() ? "the queue takes no messages" : store.why_not};
  }
  if (!store.space) return {false, "less disk space is free than disk_reserve"};
  return {true, ""};
}

RelayStatus RelayControl::status() {
  RelayStatus status = parts_.status();
  Readiness readiness = this->readiness();
  status.store = parts_.queue.health();
  status.shards = parts_.loops.size();
  const auto seen = recentSurvey();
  if (!seen && readiness.ready) readiness = {false, seen.error().detail};
  status.ready = readiness.ready;
  status.why_not_ready = std::move(readiness.why_not);
  if (!seen) return status;
  for (const QueueStatus& queue : (*seen)->queues) {
    status.ready_recipients += queue.ready;
    status.active += queue.active;
    status.deferred += queue.deferred;
    status.held += queue.held;
    if (queue.oldest && (!status.oldest || *queue.oldest < *status.oldest)) {
      status.oldest = queue.oldest;
    }
  }
  return status;
}

Result<std::vector<QueueStatus>> RelayControl::queues() {
  ASSIGN_OR_RETURN(const SharedSurvey seen, recentSurvey());
  std::vector<QueueStatus> out = seen->queues;
  std::sort(out.begin(), out.end(), [](const QueueStatus& a, const QueueStatus& b) {
    return a.destination.destination < b.destination.destination;
  });
  return out;
}

Result<void> RelayControl::visitQueues(const std::function<void(const QueueStatus&)>& visit) {
  ASSIGN_OR_RETURN(const SharedSurvey seen, recentSurvey());
  for (const QueueStatus& queue : seen->queues) visit(queue);
  return {};
}

Result<MessageFilters> RelayControl::byKey(const MessageFilter& filter) {
  if (filter.key_or_domain.empty()) return MessageFilters{filter};
  ASSIGN_OR_RETURN(const SharedSurvey seen, survey());
  MessageFilters filters;
  for (const queue::QueueKey& key : seen->keysOf(filter.key_or_domain)) {
    filters.push_back(filter);
    filters.back().key_or_domain = key;
  }
  if (filters.empty()) filters.push_back(filter);
  return filters;
}

Result<MessageListing> RelayControl::messages(const MessageChoice& choice,
                                              std::optional<MessageId> after, size_t limit) {
  // After these a page may hold less than `limit` and say that there is more.
  constexpr int kMaxRounds = 20;
  ASSIGN_OR_RETURN(MessageFilters filters, byKey(choice));
  if (!mustLook(choice)) return listMessages(shards(), filters, after, limit);
  const WallTime now = Clock::system().wall();
  const bool state = stateIsOurs(choice);
  if (state) {
    for (MessageFilter& each : filters) each.state.reset();
  }
  MessageListing out;
  for (int round = 0; round < kMaxRounds; ++round) {
    ASSIGN_OR_RETURN(MessageListing page,
                     listMessages(shards(), filters, after, std::max(limit, kPage)));
    out.next = page.next;
    for (MessageView& item : page.items) {
      if (state && countIn(item, *choice.state) == 0) continue;
      if (!choice.means(item, now)) continue;
      if (out.items.size() == limit) {
        out.next = out.items.back().id;
        return out;
      }
      out.items.push_back(std::move(item));
    }
    if (!page.next) return out;
    after = page.next;
  }
  return out;
}

Result<MessageView> RelayControl::message(const MessageId& id) {
  MessageFilter filter;
  filter.ids = {id};
  ASSIGN_OR_RETURN(MessageListing found, listMessages(shards(), {filter}, std::nullopt, 1));
  if (found.items.empty()) return fail(Errc::NotFound, "no such message in the queue");
  return std::move(found.items.front());
}

Result<ByteChain> RelayControl::content(const MessageId& id) { return readMessage(shards(), id); }

Result<ActionResult> RelayControl::act(MessageAction action, const MessageChoice& choice,
                                       const std::string& connector) {
  if (action == MessageAction::Redirect &&
      (!parts_.knows_connector || !parts_.knows_connector(connector))) {
    return fail(Errc::NotFound, "no such send connector: " + connector);
  }
  auto done = actOnChosen(action, choice, connector);
  forgetRecent();
  return done;
}

Result<ActionResult> RelayControl::count(const MessageChoice& choice) {
  ActionResult sum;
  std::optional<MessageId> after;
  do {
    ASSIGN_OR_RETURN(const MessageListing page, messages(choice, after, kPage));
    after = page.next;
    sum.matched += page.items.size();
  } while (after);
  return sum;
}

Result<ActionResult> RelayControl::actOnChosen(MessageAction action, const MessageChoice& choice,
                                               const std::string& connector) {
  switch (action) {
    case MessageAction::Retry:
      return retry(choice);
    case MessageAction::Hold:
    case MessageAction::Release:
      return actOnPages(action, choice, connector);
    case MessageAction::Bounce:
    case MessageAction::Discard:
    case MessageAction::Expire:
    case MessageAction::Redirect:
      break;
  }
  if (mustLook(choice)) return actOnPages(action, choice, connector);
  ASSIGN_OR_RETURN(const MessageFilters filters, byKey(choice));
  return actOnMessages(acting(), action, filters, connector);
}

// A retry means now: the rest of the destinations' hosts ends as well.
Result<ActionResult> RelayControl::retry(const MessageChoice& choice) {
  constexpr size_t kMaxLooked = 1000;  // beyond, all destinations are woken
  std::set<std::string> names;
  if (!choice.ids.empty() || choice.narrows()) {
    ASSIGN_OR_RETURN(const MessageListing found, messages(choice, std::nullopt, kMaxLooked));
    for (const MessageView& message : found.items) {
      for (const auto& recipient : message.recipients) names.insert(recipient.destination);
    }
    if (found.next) names.clear();
    if (found.items.empty() && !found.next) return ActionResult{};
  }
  ActionResult done;
  if (choice.looksCloser()) {
    ASSIGN_OR_RETURN(done, actOnPages(MessageAction::Retry, choice, {}));
  } else {
    MessageFilter chosen = choice;
    if (stateIsOurs(chosen)) chosen.state.reset();  // what is ready already loses nothing
    ASSIGN_OR_RETURN(const MessageFilters filters, byKey(chosen));
    ASSIGN_OR_RETURN(done, actOnMessages(acting(), MessageAction::Retry, filters));
  }
  RETURN_IF_ERROR(onViews([names](DestinationView& view) {
    if (names.empty()) view.retryNow("");
    for (const std::string& name : names) view.retryNow(name);
  }));
  return done;
}

Result<ActionResult> RelayControl::actOnPages(MessageAction action, const MessageChoice& choice,
                                              const std::string& connector) {
  ActionResult sum;
  std::optional<MessageId> after;
  do {
    ASSIGN_OR_RETURN(const MessageListing page, messages(choice, after, kPage));
    after = page.next;
    if (page.items.empty()) continue;
    ASSIGN_OR_RETURN(const ActionResult done, actOnPage(action, choice, page.items, connector));
    sum.matched += page.items.size();
    sum.changed += done.changed;
  } while (after);
  return sum;
}

Result<ActionResult> RelayControl::actOnPage(MessageAction action, const MessageChoice& choice,
                                             const std::vector<MessageView>& page,
                                             const std::string& connector) {
  MessageFilters chosen;
  for (MessageFilter& exact : exactFilters(choice, page)) {
    if (stateIsOurs(exact)) exact.state.reset();
    ASSIGN_OR_RETURN(MessageFilters by_key, byKey(exact));
    std::move(by_key.begin(), by_key.end(), std::back_inserter(chosen));
  }
  ASSIGN_OR_RETURN(ActionResult done, actOnMessages(acting(), action, chosen, connector));
  done.changed = std::min<uint64_t>(done.changed, page.size());  // not recipients
  if (action != MessageAction::Hold && action != MessageAction::Release) return done;
  MessageFilter ids;
  for (const MessageView& item : page) ids.ids.push_back(item.id);
  ASSIGN_OR_RETURN(const MessageListing now,
                   listMessages(shards(), {ids}, std::nullopt, page.size()));
  logHeld(action, page, now.items);
  return done;
}

// One event for each message that is held, or to be held after the attempt under way, or released.
void RelayControl::logHeld(MessageAction action, const std::vector<MessageView>& before,
                           const std::vector<MessageView>& after) {
  std::unordered_map<MessageId, const MessageView*> now;
  for (const MessageView& message : after) now.emplace(message.id, &message);
  for (const MessageView& message : before) {
    const size_t held = countIn(message, RecipientState::Held);
    const auto found = now.find(message.id);
    const bool gone = found == now.end();
    bool changed = false;
    if (action == MessageAction::Hold) {
      changed = !gone && (countIn(*found->second, RecipientState::Held) > held ||
                          countIn(*found->second, RecipientState::Active) > 0);
    } else {
      changed = held > 0 && (gone || countIn(*found->second, RecipientState::Held) < held);
    }
    if (!changed) continue;
    MessageEvent event;
    event.event = action == MessageAction::Hold ? "held" : "released";
    event.id = message.id.toString();
    event.sender = message.envelope->reverse_path.empty() ? "<>" : message.envelope->reverse_path;
    event.size = message.envelope->content_bytes;
    if (message.recipients.size() == 1) event.recipient = message.recipients[0].status.recipient;
    parts_.log.message(std::move(event));
  }
}

std::map<std::string, std::optional<WallTime>> RelayControl::suspensions() {
  std::map<std::string, std::optional<WallTime>> found;
  for (const auto& [name, value] : parts_.queue.settings(std::string(kSuspended))) {
    if (!name.starts_with(kSuspended)) continue;
    const auto since = readMoment(value, {});
    const bool told = since && value.size() > 1;  // "1" is of an earlier version
    found[name.substr(kSuspended.size())] = told ? std::optional(*since) : std::nullopt;
  }
  return found;
}

Result<void> RelayControl::restoreSuspensions() {
  std::set<std::string> names;
  for (const auto& [name, since] : suspensions()) names.insert(name);
  if (names.empty()) return {};
  return onViews([names](DestinationView& view) {
    for (const std::string& name : names) view.setSuspended(name, true);
  });
}

Result<bool> RelayControl::suspend(const std::string& destination, bool suspended) {
  const std::lock_guard lock(suspending_);
  const bool was_suspended = suspensions().contains(destination);
  if (!was_suspended) {
    ASSIGN_OR_RETURN(const SharedSurvey seen, survey());
    if (!seen->knows(destination)) return fail(Errc::NotFound, "no such destination");
  }
  const std::string name = std::string(kSuspended) + destination;
  if (suspended != was_suspended) {
    RETURN_IF_ERROR(suspended ? parts_.queue.putSetting(name, formatRfc3339(Clock::system().wall()))
                              : parts_.queue.removeSetting(name));
  }
  RETURN_IF_ERROR(onViews([destination, suspended](DestinationView& view) {
    view.setSuspended(destination, suspended);
  }));
  if (suspended != was_suspended) {
    parts_.log.log({LogLevel::Info,
                    suspended ? "destination_suspended" : "destination_resumed",
                    {{"destination", destination}}});
  }
  return suspended != was_suspended;
}

Result<ActionResult> RelayControl::retryDestination(const std::string& destination) {
  ASSIGN_OR_RETURN(const SharedSurvey seen, survey());
  if (!seen->knows(destination)) return fail(Errc::NotFound, "no such destination");
  MessageFilter filter;
  filter.key_or_domain = destination;
  ASSIGN_OR_RETURN(const MessageFilters filters, byKey(filter));
  ASSIGN_OR_RETURN(const ActionResult done, actOnMessages(shards(), MessageAction::Retry, filters));
  RETURN_IF_ERROR(onViews([destination](DestinationView& view) { view.retryNow(destination); }));
  return done;
}

}  // namespace sluice::relay
