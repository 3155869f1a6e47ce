// How tracked messages are found, and their events gathered.
#include "queue/tracking.h"

#include <algorithm>
#include <deque>
#include <unordered_map>

#include "queue/codec.h"
#include "queue/record.h"
#include "queue/track_writer.h"

namespace sluice::queue {
namespace {

// After so long a search gives what it has and says where to go on.
constexpr std::chrono::seconds kPatience{2};
// A message's event is stored with its commit, at most so long after its acceptance.
constexpr uint64_t kCommitSlackUs = 700'000'000;

std::string keyOf(uint64_t us) {
  std::string key;
  appendU64(key, us);
  return key;
}

uint64_t timeOf(const rocksdb::Slice& key) {
  return key.size() == 8 ? readU64(viewOf(key)) : UINT64_MAX;
}

// Large values are read once: they would only drive others out of the cache.
rocksdb::ReadOptions passing() {
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  return options;
}

bool sameText(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    const auto low = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return low(x) == low(y);
  });
}

std::string_view domainOf(std::string_view path) {
  const size_t at = path.rfind('@');
  return at == std::string_view::npos ? std::string_view() : path.substr(at + 1);
}

std::string_view senderOf(const TrackEvent& event) {
  return event.sender.empty() ? std::string_view("<>") : event.sender;
}

bool anyRecipient(const TrackEvent& event, std::string_view path) {
  return std::any_of(event.recipients.begin(), event.recipients.end(),
                     [&](std::string_view one) { return sameText(one, path); });
}

bool anyDomain(const TrackEvent& event, std::string_view domain) {
  return std::any_of(event.recipients.begin(), event.recipients.end(),
                     [&](std::string_view one) { return sameText(domainOf(one), domain); });
}

// A query in the form in which events are compared with it.
class Matcher {
 public:
  explicit Matcher(const TrackQuery& query) : query_(query) {
    for (const std::string* text :
         {&query.any, &query.sender, &query.recipient, &query.message_id, &query.destination})
      if (!text->empty()) fingerprints_.push_back(fingerprint(bareId(*text)));
  }

  bool mayBeIn(const StoredSummary& summary) const {
    return std::all_of(fingerprints_.begin(), fingerprints_.end(),
                       [&](uint64_t one) { return summary.mayHold(one); });
  }

  bool matches(const TrackEvent& event) const {
    if (event.kind != TrackKind::Accepted) return false;
    if (query_.since && event.time < *query_.since) return false;
    if (query_.until && event.time > *query_.until) return false;
    const auto met = [](const std::string& wanted, auto test) {
      return wanted.empty() || test(bareId(wanted));
    };
    return met(query_.sender, [&](auto text) { return sameText(senderOf(event), text); }) &&
           met(query_.recipient, [&](auto text) { return anyRecipient(event, text); }) &&
           met(query_.message_id, [&](auto text) { return hasMessageId(event, text); }) &&
           met(query_.destination, [&](auto text) { return anyDomain(event, text); }) &&
           met(query_.any, [&](auto text) {
             return sameText(senderOf(event), text) || hasMessageId(event, text) ||
                    anyRecipient(event, text) || anyDomain(event, text);
           });
  }

 private:
  static bool hasMessageId(const TrackEvent& event, std::string_view text) {
    return !event.message_id.empty() && sameText(bareId(event.message_id), text);
  }
  const TrackQuery& query_;
  std::vector<uint64_t> fingerprints_;
};

// The events of one message as they are gathered, and who of its recipients has not ended yet.
struct Gathered {
  Tracks tracks;
  size_t open = 0;
  bool accepted = false;
  void add(const TrackEvent& event) {
    appendTrack(tracks, event);
    tracks.fingerprints.clear();
    if (event.kind == TrackKind::Accepted) {
      accepted = true;
      open = event.recipients.size();
    } else if (event.kind == TrackKind::Undone) {
      open = 0;
    } else if (isEnd(event.kind)) {
      open -= std::min(open, std::max<size_t>(event.recipients.size(), 1));
    }
  }
  bool whole() const { return accepted && open == 0; }
};

TrackedMessage asRead(const MessageId& id, std::string events) {
  TrackedMessage message;
  message.id = id;
  message.bytes = std::make_shared<const std::string>(std::move(events));
  std::string_view rest = *message.bytes;
  for (TrackEvent event; nextTrack(rest, event);) message.events.push_back(event);
  return message;
}

}  // namespace

uint64_t TrackingImpl::oldestKept() const {
  return toMicroseconds(options_.clock->wall() - options_.tracking.keep);
}

Result<std::optional<TrackingImpl::Span>> TrackingImpl::spanBefore(uint64_t from, uint64_t to,
                                                                   const Wanted& wanted) const {
  const auto reading = store_.read();
  if (!reading) return fail(Errc::Busy, "the store is being reopened");
  const std::unique_ptr<rocksdb::Iterator> at(
      reading->NewIterator(passing(), reading.family(Family::TrackingIndex)));
  const auto behind = [&] { return at->Valid() ? timeOf(at->key()) + 1 : 0; };
  at->Seek(keyOf(to));
  bool told = at->Valid();  // a summary that reaches to `to`
  if (!told) at->SeekToLast();
  while (from <= to) {
    if (!at->status().ok()) return failWith(at->status());
    if (!told) return Span{std::max(from, behind()), to};
    const auto summary = StoredSummary::read(viewOf(at->value()));
    if (!summary || summary->from_us > to) {
      at->Prev();
      told = false;
      continue;
    }
    if (wanted(*summary)) return Span{std::max(from, summary->from_us), to};
    if (summary->from_us <= from) return std::nullopt;
    to = summary->from_us - 1;
    at->Prev();
    told = at->Valid() && timeOf(at->key()) >= to;
  }
  return std::nullopt;
}

Result<std::optional<TrackingImpl::Span>> TrackingImpl::spanBehind(uint64_t from,
                                                                   const Wanted& wanted) const {
  const auto reading = store_.read();
  if (!reading) return fail(Errc::Busy, "the store is being reopened");
  const std::unique_ptr<rocksdb::Iterator> at(
      reading->NewIterator(passing(), reading.family(Family::TrackingIndex)));
  for (at->Seek(keyOf(from)); at->Valid(); at->Next()) {
    const uint64_t to = timeOf(at->key());
    const auto summary = StoredSummary::read(viewOf(at->value()));
    if (!summary) return Span{from, to};
    if (summary->from_us > from) return Span{from, summary->from_us - 1};
    if (wanted(*summary)) return Span{from, to};
    if (to == UINT64_MAX) return std::nullopt;
    from = to + 1;
  }
  if (!at->status().ok()) return failWith(at->status());
  return Span{from, UINT64_MAX};
}

Result<void> TrackingImpl::scan(const Span& span, const Visit& visit) const {
  const auto reading = store_.read();
  if (!reading) return fail(Errc::Busy, "the store is being reopened");
  const std::unique_ptr<rocksdb::Iterator> at(
      reading->NewIterator(passing(), reading.family(Family::Tracking)));
  TrackEvent event;
  for (at->Seek(keyOf(span.from)); at->Valid() && timeOf(at->key()) <= span.to; at->Next()) {
    std::string_view block = viewOf(at->value());
    if (block.empty() || block.front() != kTrackBlockVersion) continue;
    block.remove_prefix(1);
    TrackPlace place{timeOf(at->key()), 0};
    for (; nextTrack(block, event); ++place.index) visit(place, event);
  }
  if (!at->status().ok()) return failWith(at->status());
  return {};
}

Result<TrackedPage> TrackingImpl::find(const TrackQuery& query, std::optional<TrackPlace> before,
                                       size_t limit) const {
  const Matcher matcher(query);
  const uint64_t from = std::max(query.since ? toMicroseconds(*query.since) : 0, oldestKept());
  uint64_t to = query.until ? toMicroseconds(*query.until) + kCommitSlackUs : UINT64_MAX;
  if (before) to = std::min(to, before->key_us);
  const SteadyTime patient_until = std::chrono::steady_clock::now() + kPatience;
  TrackedPage page;
  while (from <= to) {
    const auto wanted = [&](const StoredSummary& one) { return matcher.mayBeIn(one); };
    ASSIGN_OR_RETURN(const auto span, spanBefore(from, to, wanted));
    if (!span) return page;
    std::deque<std::pair<TrackPlace, MessageId>> found;  // the newest at the back
    RETURN_IF_ERROR(scan(*span, [&](TrackPlace place, const TrackEvent& event) {
      if ((before && place >= *before) || !matcher.matches(event)) return;
      found.emplace_back(place, event.id);
      if (found.size() > limit) found.pop_front();
    }));
    for (; !found.empty(); found.pop_back()) {
      page.ids.push_back(found.back().second);
      if (page.ids.size() < limit) continue;
      page.next = found.back().first;
      return page;
    }
    if (span->from == 0) return page;
    to = span->from - 1;
    if (std::chrono::steady_clock::now() < patient_until) continue;
    page.next = TrackPlace{span->from, 0};
    return page;
  }
  return page;
}

// Forward from the first acceptance, all of them at once, until each of their recipients has ended.
Result<std::vector<TrackedMessage>> TrackingImpl::lives(const std::vector<MessageId>& ids) const {
  std::unordered_map<MessageId, Gathered> gathered;
  std::unordered_map<MessageId, uint64_t> open;
  uint64_t from = UINT64_MAX;
  for (const MessageId& id : ids) {
    gathered[id];
    open[id] = fingerprint(id.bytes());
    from = std::min(from, toMicroseconds(id.acceptedAt()));
  }
  from = std::max(from, oldestKept());
  const SteadyTime patient_until = std::chrono::steady_clock::now() + kPatience;
  while (!open.empty() && std::chrono::steady_clock::now() < patient_until) {
    const auto wanted = [&](const StoredSummary& one) {
      return std::any_of(open.begin(), open.end(),
                         [&](const auto& each) { return one.mayHold(each.second); });
    };
    ASSIGN_OR_RETURN(const auto span, spanBehind(from, wanted));
    if (!span) break;
    RETURN_IF_ERROR(scan(*span, [&](TrackPlace, const TrackEvent& event) {
      const auto found = gathered.find(event.id);
      if (found == gathered.end()) return;
      found->second.add(event);
      if (found->second.whole()) open.erase(event.id);
    }));
    if (span->to == UINT64_MAX) break;
    from = span->to + 1;
  }
  std::vector<TrackedMessage> out;
  for (const MessageId& id : ids) out.push_back(asRead(id, std::move(gathered[id].tracks.events)));
  return out;
}

}  // namespace sluice::queue
