// What is kept of a message's life: one event each time that something becomes of it, in the form
// in which it is stored, and the fingerprints by which it is found again.
//
// Pure. Strings of an event refer to whoever made it: a transaction when it is written, a stored
// block when it is read. Decoding takes any bytes. docs/queue-format.md describes the form.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/base/clock.h"
#include "queue/message_id.h"

namespace sluice::queue {

// Stored as they are: never renumbered.
enum class TrackKind : uint8_t {
  Accepted = 1,
  Notice = 2,  // about this message
  Delivered = 3,
  Deferred = 4,
  Bounced = 5,
  Expired = 6,
  Discarded = 7,
  Held = 8,
  Released = 9,
  Undone = 10,  // it took too long to make durable and was taken back: its sender was told 451
};
std::string_view toString(TrackKind kind);
// Nothing more becomes of a recipient after it.
bool isEnd(TrackKind kind);

struct TrackEvent {
  TrackKind kind = TrackKind::Accepted;
  MessageId id;
  WallTime time{};
  std::vector<std::string_view> recipients;  // forward-paths, that it concerns alike
  std::string_view sender;                   // of Accepted; empty: <>
  std::string_view message_id;               // of Accepted: the field's value
  std::string_view connector, destination, mx, address, tls, user, status, reply;
  uint64_t size = 0;      // of Accepted
  uint32_t code = 0;      // of the reply
  uint32_t attempts = 0;  // this one included
  std::chrono::microseconds took{0};
  std::optional<WallTime> next_attempt;
};

inline constexpr size_t kMaxTrackedBytes = 512;  // of one string of an event; the rest is cut off

// Events on their way to the store.
struct Tracks {
  std::string events;
  std::vector<uint64_t> fingerprints;
  bool empty() const { return events.empty(); }
};
void appendTrack(Tracks& tracks, const TrackEvent& event);

// Of an id's bytes, an address, a domain or a bare Message-ID, without regard to case.
uint64_t fingerprint(std::string_view text);

// Without the angle brackets around it; "<>" stays.
std::string_view bareId(std::string_view text);

// Takes the first event off stored ones, which outlive it. False at the end, and at bytes that are
// no event, which end what can be read.
bool nextTrack(std::string_view& stored, TrackEvent& event);

}  // namespace sluice::queue
