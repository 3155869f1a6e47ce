// One atomic step of the store, prepared by a shard and written by the committer: puts and removals
// over all column families, with message bytes by reference.
//
// A step is made on its shard, owned by the committer while it waits, and comes back to the shard
// with its result. Only `fate` is touched by both sides at once.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/base/bytes.h"
#include "net/base/result.h"
#include "net/base/unique_function.h"
#include "queue/message_id.h"
#include "queue/track_event.h"

namespace sluice::queue {

// Anchor is RocksDB's default one; it holds what the founding wrote and nothing else, see store.cc.
enum class Family : uint8_t {
  Anchor,
  Settings,
  Content,
  Envelope,
  State,
  Schedule,
  Partial,
  Tracking,
  TrackingIndex
};
inline constexpr size_t kFamilies = 9;
// The families from here on may be missing: mail does without them.
inline constexpr size_t kMailFamilies = 7;

// A list of writes in few allocations. Every key is put once and removed once.
class Ops {
 public:
  struct Op {
    bool put = false;
    Family family = Family::Settings;
    std::string_view key;
    std::string_view value;  // of a put, unless it is in slices
    size_t slices_from = 0;  // of a put whose value is in slices
    size_t slices_count = 0;
  };

  void put(Family family, std::string_view key, std::string_view value);
  // The value is the bytes of `slices`, shared until the step is done.
  void put(Family family, std::string_view key, std::vector<Slice> slices);
  void remove(Family family, std::string_view key);

  bool empty() const { return count_ == 0; }
  size_t count() const { return count_; }
  size_t bytes() const { return encoded_.size() + slice_bytes_; }
  const std::vector<Slice>& slices() const { return slices_; }

  // Calls visit(const Op&) for each, in order.
  template <class Visit>
  void forEach(Visit visit) const {
    for (size_t at = 0; at < encoded_.size();) visit(next(at));
  }

 private:
  void head(uint8_t what, Family family, std::string_view key, size_t a, size_t b);
  Op next(size_t& at) const;
  std::string encoded_;  // what, family, sizes, key, value; one after the other
  std::vector<Slice> slices_;
  size_t slice_bytes_ = 0;
  size_t count_ = 0;
};

struct Step {
  enum class Kind : uint8_t {
    Accept,  // synced; on failure undone and answered
    Settle,  // must happen: repeated after a failure until it has
    Chunk,   // content ahead of its commit; on failure removed and answered
    Remove,  // as Settle, and synced: the undoing of an accept that took too long
  };
  Kind kind = Kind::Settle;
  uint32_t messages = 0;  // accepted by it
  Ops ops;
  Tracks tracks;  // what it is told of later
  Ops undo;       // Accept: what came ahead of it and must go too if it fails
  // Accept: the committer's epoch when the first of what came ahead was handed over. A failure
  // since then may have undone it.
  std::optional<uint64_t> epoch;
  MessageId id;  // Accept: of the message
  // Accept: whoever is first decides. What is abandoned while it is open is never written; what is
  // abandoned during the writing may be in the log, and is undone.
  enum class Fate : uint8_t { Open, Writing, Decided, Abandoned };
  std::atomic<Fate> fate{Fate::Open};
  // False if it is not `from` any more.
  bool move(Fate from, Fate to) {
    return fate.compare_exchange_strong(from, to, std::memory_order_acq_rel);
  }
  bool begun = false;                   // the committer's: it may be in the log
  std::optional<Error> error;           // set by the committer
  UniqueFunction<void(Step&)> on_done;  // on the shard

  bool mustSync() const { return kind == Kind::Accept || kind == Kind::Remove; }
  bool mustHappen() const { return kind == Kind::Settle || kind == Kind::Remove; }
};

}  // namespace sluice::queue
