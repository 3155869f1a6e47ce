// The face of the queue: accept, take, settle, hold, find. All that relay/ includes of it, beside
// the values in envelope.h, message_id.h and recipient_state.h.
//
// A Queue is one RocksDB below `directory`, one committer thread, a few reader threads, and one
// ShardQueue a shard. A message belongs to the shard that accepted it (its id names the lane;
// lane modulo shards after a restart with another number). Everything of a ShardQueue happens on
// its loop's thread; nothing there blocks.
//
// Recipients of a message are queued in groups: those that leave under one *queue key* (a
// lower-case recipient domain, or the name of a smart-host connector: "=name"), at most kMaxGroup
// of them. A key's ready groups are kept in memory up to a window; the rest is keys on disk, read
// in due order when the window empties.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/base/bytes.h"
#include "net/base/clock.h"
#include "net/base/result.h"
#include "net/base/unique_function.h"
#include "net/loop.h"
#include "queue/envelope.h"
#include "queue/message_id.h"
#include "queue/recipient_state.h"
#include "queue/track_event.h"

namespace rocksdb {
class Env;
}  // namespace rocksdb

namespace sluice::queue {

using QueueKey = std::string;

// Most recipients of one group; larger ones are split when they are queued.
inline constexpr size_t kMaxGroup = 1000;

// What the store has to tell people, beside its counters: one log line each.
struct StoreEvent {
  enum class What : uint8_t {
    RecoveryDropped,  // the log's torn end was cut off at the start; `detail` says how much
    Quarantined,      // a message cannot be read; it is neither delivered nor dropped
    WriteFailed,      // no commits are taken until the store is open again
    Reopened,         // commits are taken again
    ReopenFailed,     // still not; tried again
    Damaged,          // stored bytes that belong to no known message fail their checksum
  } what = What::Damaged;
  std::string id;  // of the message, for Quarantined, and for Damaged where it is known
  std::string detail;
};

// What is kept of messages that have left. Off, it is dropped at the next opening.
struct TrackingOptions {
  bool enabled = false;
  std::chrono::milliseconds keep{7 * 86'400'000LL};
  uint64_t max_bytes = 2ull << 30;
};

struct QueueOptions {
  std::string directory;                          // data_dir; made if missing, mode 0700
  uint64_t memory_bytes = 256ull << 20;           // content kept in memory
  uint64_t database_memory_bytes = 256ull << 20;  // write buffers and cache
  uint64_t disk_reserve_bytes = 1ull << 30;
  std::chrono::milliseconds commit_timeout{60'000};
  size_t window_groups = 1000;            // ready groups of one key in memory
  size_t max_loaded_messages = 20'000;    // a shard
  const Clock* clock = &Clock::system();  // wall and steady time of dues and ids
  // Dues are looked at again at least this often, so that a moved clock is noticed.
  std::chrono::milliseconds recheck_interval{1000};
  std::function<void(const StoreEvent&)> on_event;  // any thread; must not call the queue
  TrackingOptions tracking;
  rocksdb::Env* env = nullptr;  // for tests: a file system that fails
};

// Recipients (indexes into Envelope::recipients) that are to be queued under one key.
struct Group {
  QueueKey key;
  std::vector<uint16_t> recipients;
};

// A message of our own making (a notice): small content, made in memory.
struct NewMessage {
  Envelope envelope;
  ByteChain content;
  std::vector<Group> groups;
};

// What tracking keeps of an acceptance beside the envelope.
struct Origin {
  std::string message_id;  // the field's value; empty if there is none
  std::string tls;         // version
  std::string user;        // who had authenticated
};

// The content of a message on its way in. Bytes go to disk ahead of the commit when they are many,
// so that no message needs its whole size in memory. Destroyed without commit, it leaves nothing.
class Incoming {
 public:
  virtual ~Incoming() = default;
  virtual const MessageId& id() const = 0;
  virtual void append(std::string_view bytes) = 0;
  virtual uint64_t size() const = 0;
  // Too much waits for the disk or for memory: stop reading until on_relieved is called.
  virtual bool congested() const = 0;
  virtual void onRelieved(Task on_relieved) = 0;
  // For tracking, what the envelope does not hold of its acceptance. Before the commit.
  virtual void setOrigin(Origin origin) { static_cast<void>(origin); }
};

// The content of a queued message as it is sent, the envelope's fields in front, read by delivery
// in chunks of at most ByteChain::kMaxBlockBytes and those fields.
class Content {
 public:
  using Done = UniqueFunction<void(Result<std::vector<Slice>>)>;
  virtual ~Content() = default;
  virtual uint64_t size() const = 0;
  virtual size_t chunks() const = 0;
  // Calls `done` with chunk `index`: at once if it is in memory, else later on the loop, read by a
  // reader thread. Errors: Io, Corrupt (the message is quarantined: settle it as Ready with a later
  // due time). Destroying the Work drops what is still to come.
  virtual void chunk(size_t index, Done done) = 0;
  // Everything, if it is in memory in one chunk; nothing otherwise. For the fast path.
  virtual const std::vector<Slice>* inMemory() const = 0;
};

// One group of recipients of one message, taken for an attempt. Settle it, or destroy it to put it
// back as it was (ready, at the front).
class Work {
 public:
  virtual ~Work() = default;
  virtual const MessageId& id() const = 0;
  virtual const QueueKey& key() const = 0;
  virtual const Envelope& envelope() const = 0;
  virtual std::span<const uint16_t> recipients() const = 0;  // indexes into the envelope's
  virtual const AttemptRecord& attempts() const = 0;         // what went before, for this group
  virtual Content& content() = 0;
  // For tracking: kept with the settlement, if it comes to one.
  virtual void track(const TrackEvent& event) { static_cast<void>(event); }
};

// What became of one recipient of a Work.
struct Settlement {
  uint16_t recipient = 0;
  enum class What : uint8_t {
    Ended,     // delivered, bounced, expired, discarded: gone
    Deferred,  // again at `due`
    Ready,     // again as soon as possible, e.g. 452 to some: no attempt counted
    Held,      // until released
  } what = What::Ended;
  WallTime due{};
  QueueKey key;                 // empty: the same; else it moves to this key
  std::string last_reply;       // "host [address] said: 451 4.7.1 ..." or our own words
  bool delay_notified = false;  // a delay notice goes out in this step
  bool count_attempt = true;
};

// Numbers of one key on one shard, or summed over shards.
struct KeyStatus {
  QueueKey key;
  uint64_t ready = 0;   // recipients due now, not taken
  uint64_t active = 0;  // taken
  uint64_t deferred = 0;
  uint64_t held = 0;
  std::optional<WallTime> oldest;    // acceptance of the oldest message, nearly (see docs)
  std::optional<WallTime> next_due;  // of the earliest deferred
};

struct MessageFilter {
  std::vector<MessageId> ids;  // if given, only these
  std::string key_or_domain;   // a recipient's domain, or a queue key
  std::string sender;          // exact reverse-path; "<>" for the null one
  std::string recipient;       // exact, domain without case
  std::optional<RecipientState> state;
  std::optional<std::chrono::seconds> older_than;
};

struct RecipientStatus {
  std::string recipient;
  QueueKey key;
  RecipientState state = RecipientState::Ready;
  AttemptRecord attempts;
  std::optional<WallTime> next_attempt;
};

struct MessageStatus {
  MessageId id;
  std::shared_ptr<const Envelope> envelope;
  std::vector<RecipientStatus> recipients;
};

struct MessagePage {
  std::vector<MessageStatus> items;
  std::optional<MessageId> next;  // ask again with `after` set to it
};

struct ActionResult {
  uint64_t matched = 0;  // messages
  uint64_t changed = 0;
};

enum class Action { Retry, Hold, Release, Remove };

// Told to the owner of a shard, on its loop.
class QueueListener {
 public:
  virtual ~QueueListener() = default;
  // Groups are ready under `key` (maybe none any more when take() is called).
  virtual void onReady(const QueueKey& key) = 0;
  // A sweep found a group that waits although its time for a delay notice or its lifetime is over,
  // and that no attempt will come to see (its host rests): it is taken for you to judge.
  virtual void onOverdue(std::unique_ptr<Work> work) = 0;
};

class ShardQueue {
 public:
  virtual ~ShardQueue() = default;

  // Accepting. `expected_bytes` is MAIL's SIZE, or 0.
  virtual std::unique_ptr<Incoming> newIncoming(uint64_t expected_bytes) = 0;
  // NoSpace: disk reserve or memory budget is used up, refuse MAIL with 452; Io: the store does not
  // take commits at the moment, 451.
  virtual Result<void> mayAccept(uint64_t expected_bytes) const = 0;
  // Commits all in one atomic, synced step, queues the groups, calls `done`. Errors: Io, NoSpace,
  // Timeout (too late: never delivered), Cancelled (nobody can say: give the client no answer).
  virtual void commit(std::unique_ptr<Incoming> incoming, Envelope envelope,
                      std::vector<Group> groups, UniqueFunction<void(Result<void>)> done) = 0;
  // Accepts a message of our own.
  virtual void submit(NewMessage message, UniqueFunction<void(Result<MessageId>)> done) = 0;

  // Delivering. Nothing if no group is ready under `key`.
  virtual std::unique_ptr<Work> take(const QueueKey& key) = 0;
  // Keys with ready groups, in no order; for a delivery side that starts or changes its routes.
  virtual std::vector<QueueKey> readyKeys() const = 0;
  virtual uint64_t readyGroups(const QueueKey& key) const = 0;  // in memory and known on disk
  // Records what became of the recipients (all of the Work's; those not named stay Ready), and
  // queues `notices`, as one atomic step, synced within a second. `done` when it is written (not
  // yet synced); it may be empty. The Work is at an end; a failed write is repeated by the queue
  // and never lost, so there is no error.
  virtual void settle(std::unique_ptr<Work> work, std::vector<Settlement> settlements,
                      std::vector<NewMessage> notices, Task done) = 0;
  // Looks through the queue key's waiting groups for ones accepted before `notice_before` (and not
  // yet notified) or before `expire_before`; gives each to onOverdue.
  virtual void sweepOverdue(const QueueKey& key, WallTime notice_before,
                            WallTime expire_before) = 0;

  // Looking and acting. Only this shard's messages; results come on the loop.
  virtual std::vector<KeyStatus> status() const = 0;
  virtual void list(MessageFilter filter, std::optional<MessageId> after, size_t limit,
                    UniqueFunction<void(Result<MessagePage>)> done) = 0;
  virtual void readContent(const MessageId& id, UniqueFunction<void(Result<ByteChain>)> done) = 0;
  // Hold, release, retry now. Recipients that are active finish their attempt first; then it
  // applies to what is left. Remove takes messages for the caller to end: each is given to `each`
  // as Work (one a group), to be settled by it with or without a notice.
  virtual void act(Action action, MessageFilter filter,
                   UniqueFunction<void(std::unique_ptr<Work>)> each,
                   UniqueFunction<void(Result<ActionResult>)> done) = 0;
};

// What is looked for among tracked messages: all that is given must be met, without regard to case.
struct TrackQuery {
  std::string any;  // a sender, recipient, recipient's domain or Message-ID
  std::string sender;
  std::string recipient;
  std::string message_id;         // with or without its angle brackets
  std::string destination;        // a recipient's domain
  std::optional<WallTime> since;  // accepted
  std::optional<WallTime> until;
};

// Where an event is stored.
struct TrackPlace {
  uint64_t key_us = 0;
  uint32_t index = 0;
  auto operator<=>(const TrackPlace&) const = default;
};

// The events of one message, in their order, as far as they are kept.
struct TrackedMessage {
  MessageId id;
  std::vector<TrackEvent> events;
  std::shared_ptr<const std::string> bytes;  // that the events refer to
};

struct TrackedPage {
  std::vector<MessageId> ids;  // the newest first
  std::optional<TrackPlace> next;
};

// The face of tracking. Any thread; reads the disk.
class Tracking {
 public:
  virtual ~Tracking() = default;
  // Messages accepted before `before`, at most `limit`; fewer, with `next`, if looking took long.
  // Errors: Busy (the store is being reopened), Io, Corrupt.
  virtual Result<TrackedPage> find(const TrackQuery& query, std::optional<TrackPlace> before,
                                   size_t limit) const = 0;
  // What is kept of these, in the order asked for; without events where nothing is.
  virtual Result<std::vector<TrackedMessage>> lives(const std::vector<MessageId>& ids) const = 0;
  virtual uint64_t bytes() const = 0;  // on disk, nearly
};

// What the store says of itself; any thread.
struct StoreHealth {
  bool ready = false;    // opened, walked far enough to deliver, and taking commits
  bool writable = true;  // false after a failed write, until reopened
  bool space = true;     // false below the disk reserve
  uint64_t disk_free_bytes = 0;
  uint64_t content_bytes = 0;  // content in memory now
  uint64_t recovery_dropped_bytes = 0;
  uint64_t quarantined_messages = 0;
  bool walk_complete = false;  // all counts are exact
  uint64_t messages = 0;
  std::string why_not;  // in words, when not ready
};

class Queue {
 public:
  virtual ~Queue() = default;
  // Opens or founds the queue. Errors: Exists (another process has it: its lock is named), Corrupt,
  // Unsupported (format version), NoSpace, Io. The shards' loops must outlive the Queue.
  static Result<std::unique_ptr<Queue>> open(const QueueOptions& options,
                                             std::span<net::Loop* const> loops,
                                             struct QueueMetrics& metrics);
  virtual ShardQueue& shard(size_t index) = 0;
  // Before the loops run. Each shard's listener.
  virtual void setListener(size_t index, QueueListener& listener) = 0;
  // Starts the walk through what is on disk; ready keys come as onReady.
  virtual void startRecovery() = 0;
  virtual StoreHealth health() const = 0;
  // Small records of the relay's own (suspended destinations, format notes), kept with the queue.
  virtual Result<void> putSetting(const std::string& name, const std::string& value) = 0;
  virtual std::vector<std::pair<std::string, std::string>> settings(const std::string& prefix) = 0;
  virtual Result<void> removeSetting(const std::string& name) = 0;
  // Null if tracking is off.
  virtual const Tracking* tracking() const { return nullptr; }
  // Writes what waits, syncs, and closes. After the loops have stopped taking work.
  virtual void close() = 0;
};

}  // namespace sluice::queue
