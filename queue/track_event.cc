// The stored form of events.
#include "queue/track_event.h"

#include "queue/codec.h"
#include "queue/record.h"

namespace sluice::queue {
namespace {

// One bit each for what an event has, in the order in which it is stored.
enum Has : uint32_t {
  kSender = 1u << 0,
  kMessageId = 1u << 1,
  kConnector = 1u << 2,
  kDestination = 1u << 3,
  kMx = 1u << 4,
  kAddress = 1u << 5,
  kTls = 1u << 6,
  kUser = 1u << 7,
  kStatus = 1u << 8,
  kReply = 1u << 9,
  kSize = 1u << 10,
  kCode = 1u << 11,
  kAttempts = 1u << 12,
  kTook = 1u << 13,
  kNext = 1u << 14,
};
constexpr uint32_t kAllKnown = (1u << 15) - 1;

// FNV-1a. It is stored: never changed.
constexpr uint64_t kFnvStart = 14695981039346656037u;
constexpr uint64_t kFnvPrime = 1099511628211u;

// Calls each(bit, member) for every string of an event.
template <class Event, class Each>
void forEachString(Event& event, Each each) {
  each(kSender, event.sender);
  each(kMessageId, event.message_id);
  each(kConnector, event.connector);
  each(kDestination, event.destination);
  each(kMx, event.mx);
  each(kAddress, event.address);
  each(kTls, event.tls);
  each(kUser, event.user);
  each(kStatus, event.status);
  each(kReply, event.reply);
}

uint32_t bitsOf(const TrackEvent& event) {
  uint32_t bits = 0;
  forEachString(event,
                [&](uint32_t bit, std::string_view text) { bits |= text.empty() ? 0 : bit; });
  if (event.size > 0) bits |= kSize;
  if (event.code > 0) bits |= kCode;
  if (event.attempts > 0) bits |= kAttempts;
  if (event.took.count() > 0) bits |= kTook;
  if (event.next_attempt) bits |= kNext;
  return bits;
}

void appendFingerprints(Tracks& tracks, const TrackEvent& event) {
  std::vector<uint64_t>& out = tracks.fingerprints;
  out.push_back(fingerprint(event.id.bytes()));
  if (event.kind != TrackKind::Accepted) return;
  out.push_back(fingerprint(event.sender.empty() ? "<>" : event.sender));
  if (!event.message_id.empty()) out.push_back(fingerprint(bareId(event.message_id)));
  for (const std::string_view recipient : event.recipients) {
    out.push_back(fingerprint(recipient));
    const size_t at = recipient.rfind('@');
    if (at != std::string_view::npos) out.push_back(fingerprint(recipient.substr(at + 1)));
  }
}

}  // namespace

std::string_view toString(TrackKind kind) {
  switch (kind) {
    case TrackKind::Accepted:
      return "accepted";
    case TrackKind::Notice:
      return "notice";
    case TrackKind::Delivered:
      return "delivered";
    case TrackKind::Deferred:
      return "deferred";
    case TrackKind::Bounced:
      return "bounced";
    case TrackKind::Expired:
      return "expired";
    case TrackKind::Discarded:
      return "discarded";
    case TrackKind::Held:
      return "held";
    case TrackKind::Released:
      return "released";
    case TrackKind::Undone:
      return "undone";
  }
  return "";
}

bool isEnd(TrackKind kind) {
  switch (kind) {
    case TrackKind::Delivered:
    case TrackKind::Bounced:
    case TrackKind::Expired:
    case TrackKind::Discarded:
    case TrackKind::Undone:
      return true;
    case TrackKind::Accepted:
    case TrackKind::Notice:
    case TrackKind::Deferred:
    case TrackKind::Held:
    case TrackKind::Released:
      return false;
  }
  return false;
}

std::string_view bareId(std::string_view text) {
  if (text.size() > 2 && text.front() == '<' && text.back() == '>')
    return text.substr(1, text.size() - 2);
  return text;
}

uint64_t fingerprint(std::string_view text) {
  uint64_t hash = kFnvStart;
  for (const char c : text.substr(0, kMaxTrackedBytes)) {
    const auto byte = static_cast<uint8_t>(c);
    const bool capital = byte >= 'A' && byte <= 'Z';
    hash = (hash ^ (capital ? byte + 32u : byte)) * kFnvPrime;
  }
  return hash;
}

// kind (1), id (16), time (8), bits, recipients, then what the bits say, in their order; in front
// of it all its size.
void appendTrack(Tracks& tracks, const TrackEvent& event) {
  const auto put = [&](std::string_view text) {
    appendString(tracks.events, text.substr(0, kMaxTrackedBytes));
  };
  if (tracks.events.empty()) {
    tracks.events.reserve(512);
    tracks.fingerprints.reserve(8);
  }
  // The size is known when the rest is there: its four bytes are filled in then.
  const size_t start = tracks.events.size();
  tracks.events.append(4, '\0');
  tracks.events.push_back(static_cast<char>(event.kind));
  tracks.events.append(event.id.bytes());
  appendU64(tracks.events, toMicroseconds(event.time));
  const uint32_t bits = bitsOf(event);
  appendVarint(tracks.events, bits);
  appendVarint(tracks.events, event.recipients.size());
  for (const std::string_view recipient : event.recipients) put(recipient);
  forEachString(event, [&](uint32_t, std::string_view text) {
    if (!text.empty()) put(text);
  });
  if (bits & kSize) appendVarint(tracks.events, event.size);
  if (bits & kCode) appendVarint(tracks.events, event.code);
  if (bits & kAttempts) appendVarint(tracks.events, event.attempts);
  if (bits & kTook) appendVarint(tracks.events, static_cast<uint64_t>(event.took.count()));
  if (bits & kNext) appendVarint(tracks.events, toMicroseconds(*event.next_attempt));
  const auto bytes = static_cast<uint32_t>(tracks.events.size() - start - 4);
  for (size_t i = 0; i < 4; ++i)
    tracks.events[start + i] = static_cast<char>(bytes >> (24 - 8 * i));
  appendFingerprints(tracks, event);
}

bool nextTrack(std::string_view& stored, TrackEvent& event) {
  if (stored.size() < 4) return false;
  const uint32_t bytes = readU32(stored.substr(0, 4));
  if (bytes > stored.size() - 4 || bytes < 1 + MessageId::kBytes) return false;
  const std::string_view record = stored.substr(4, bytes);
  stored.remove_prefix(4 + size_t{bytes});
  RecordReader in(record.substr(1 + MessageId::kBytes));
  event = TrackEvent{};
  event.kind = static_cast<TrackKind>(record[0]);
  if (toString(event.kind).empty()) return nextTrack(stored, event);  // a later version's
  event.id = MessageId::fromBytes(record.substr(1, MessageId::kBytes));
  event.time = fromMicroseconds(in.u64());
  const auto bits = static_cast<uint32_t>(in.varint(kAllKnown));
  const uint64_t recipients = in.varint(in.remaining());
  event.recipients.reserve(recipients);
  for (uint64_t i = 0; i < recipients && in.ok(); ++i) event.recipients.push_back(in.string());
  forEachString(event, [&](uint32_t bit, std::string_view& text) {
    if (bits & bit) text = in.string();
  });
  if (bits & kSize) event.size = in.varint();
  if (bits & kCode) event.code = static_cast<uint32_t>(in.varint(UINT32_MAX));
  if (bits & kAttempts) event.attempts = static_cast<uint32_t>(in.varint(UINT32_MAX));
  if (bits & kTook) event.took = std::chrono::microseconds(in.varint(INT64_MAX));
  if (bits & kNext) event.next_attempt = fromMicroseconds(in.varint());
  return in.ok();
}

}  // namespace sluice::queue
