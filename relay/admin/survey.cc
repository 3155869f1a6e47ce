#include "relay/admin/survey.h"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <unordered_set>

#include "relay/admin/why.h"

namespace sluice::relay {
namespace {

// Where the shards differ, the earlier one is shown.
constexpr std::array<std::string_view, 7> kStateOrder{
    "suspended", "delivering", "connecting", "resolving", "limited", "resting", "idle"};

size_t rankOf(std::string_view state) {
  return static_cast<size_t>(std::find(kStateOrder.begin(), kStateOrder.end(), state) -
                             kStateOrder.begin());
}

template <class T>
void keepEarlier(std::optional<T>& kept, const std::optional<T>& other) {
  if (other && (!kept || *other < *kept)) kept = other;
}

void mergeInto(DestinationStatus& sum, const DestinationStatus& shard) {
  if (rankOf(shard.state) < rankOf(sum.state)) {
    sum.state = shard.state;
    sum.why = shard.why;
  }
  if (sum.connector.empty()) sum.connector = shard.connector;
  if (sum.last_reply.empty()) sum.last_reply = shard.last_reply;
  sum.connections += shard.connections;
  if (sum.max_connections == 0) {
    sum.max_connections = shard.max_connections;
    sum.rate = shard.rate;
  }
  keepEarlier(sum.next_attempt, shard.next_attempt);
  for (const queue::QueueKey& key : shard.keys) {
    if (std::find(sum.keys.begin(), sum.keys.end(), key) == sum.keys.end()) {
      sum.keys.push_back(key);
    }
  }
  for (size_t i = 0; i < sum.results.size(); ++i) sum.results[i] += shard.results[i];
}

void addKey(QueueStatus& queue, bool resting, const queue::KeyStatus& key) {
  queue.ready += resting ? 0 : key.ready;
  queue.deferred += key.deferred + (resting ? key.ready : 0);
  queue.active += key.active;
  queue.held += key.held;
  keepEarlier(queue.oldest, key.oldest);
  if (!resting) keepEarlier(queue.destination.next_attempt, key.next_due);
}

}  // namespace

bool rests(const DestinationStatus& destination) { return destination.state == "resting"; }

ShardSurvey lookAt(const queue::ShardQueue& queue, const DestinationView& view,
                   std::span<const queue::QueueKey> standing_keys) {
  ShardSurvey out{queue.status(), view.destinations(), {}};
  std::unordered_set<std::string_view> served;
  std::vector<DestinationStatus> others;
  for (const DestinationStatus& destination : out.destinations) {
    served.insert(destination.keys.begin(), destination.keys.end());
  }
  for (const queue::KeyStatus& key : out.keys) {
    if (served.contains(key.key)) continue;
    DestinationStatus& other = others.emplace_back(view.destinationOf(key.key));
    other.keys = {key.key};
  }
  for (const queue::QueueKey& key : standing_keys) {
    DestinationStatus& standing = out.standing.emplace_back(view.destinationOf(key));
    standing.keys = {key};
  }
  served.clear();  // it refers to strings that are about to move
  std::move(others.begin(), others.end(), std::back_inserter(out.destinations));
  return out;
}

std::vector<QueueStatus> mergeSurveys(std::vector<ShardSurvey> shards) {
  size_t most = 0;
  for (const ShardSurvey& shard : shards) most += shard.destinations.size();
  std::vector<QueueStatus> merged;
  std::unordered_map<std::string, size_t> by_name;
  merged.reserve(most);
  by_name.reserve(most);
  for (ShardSurvey& shard : shards) {
    std::unordered_map<std::string_view, const queue::KeyStatus*> keys;
    keys.reserve(shard.keys.size());
    for (const queue::KeyStatus& key : shard.keys) keys.emplace(key.key, &key);
    for (DestinationStatus& destination : shard.destinations) {
      const auto [at, fresh] = by_name.try_emplace(destination.destination, merged.size());
      if (fresh) merged.emplace_back();
      QueueStatus& queue = merged[at->second];
      const bool resting = rests(destination);
      if (!fresh) mergeInto(queue.destination, destination);
      const size_t ours = destination.keys.size();
      if (fresh) queue.destination = std::move(destination);
      const auto& served = fresh ? queue.destination.keys : destination.keys;
      for (size_t i = 0; i < ours; ++i) {
        const auto key = keys.find(served[i]);
        if (key != keys.end()) addKey(queue, resting, *key->second);
      }
    }
  }
  return merged;
}

MessageView::Recipient showRecipient(queue::RecipientStatus status,
                                     const DestinationStatus& destination) {
  const queue::RecipientState stored = status.state;
  if (status.state == queue::RecipientState::Ready && rests(destination)) {
    status.state = queue::RecipientState::Deferred;
    status.next_attempt = destination.next_attempt;
    const std::string& reason =
        destination.last_reply.empty() ? destination.why.text : destination.last_reply;
    if (!reason.empty()) status.attempts.last_reply = reason;
  }
  Why why = whyOf(stored, status, destination);
  return {std::move(status), destination.destination, destination.connector, std::move(why)};
}

}  // namespace sluice::relay
