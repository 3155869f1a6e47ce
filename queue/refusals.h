// Which messages were answered 451 although the log may hold them whole?
//
// A commit whose sync hangs can be given up, but not taken back before the disk answers again. If
// the process or the machine dies meanwhile, the log brings the message back, and its sender, who
// was told 451, has sent it again. So its id is noted in a file of its own before the 451 is given,
// and the next start removes the message before anything is delivered.
//
// The file has its full size from the start, so that a note needs no space. Where no note can be
// made either, no answer may be given. Any thread.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "net/base/result.h"
#include "queue/message_id.h"
#include "queue/store.h"

namespace sluice::queue {

class Refusals {
 public:
  static constexpr size_t kMost = 3276;  // at a time, 64 KiB; more than one batch has

  // Removes from the store what the file names, synced, then empties the file. Where none can be
  // made, note() fails. Errors: Io, NoSpace, of the store.
  static Result<std::unique_ptr<Refusals>> open(const std::string& directory, Store& store);
  ~Refusals();
  Refusals(const Refusals&) = delete;
  Refusals& operator=(const Refusals&) = delete;

  // Returns when the notes are on stable storage, however long that takes. Errors: Io, NoSpace (too
  // many at a time).
  Result<void> note(std::span<const MessageId> ids);
  // The store does not hold it any more. Once for each that was noted; may come before note().
  void forget(const MessageId& id);

 private:
  Refusals() : slots_(kMost) {}
  Result<std::vector<size_t>> slotsFor(std::span<const MessageId> ids);

  int fd_ = -1;
  std::mutex mutex_;
  std::vector<std::optional<MessageId>> slots_;     // guarded by mutex_
  std::unordered_set<MessageId> forgotten_before_;  // guarded by mutex_
};

}  // namespace sluice::queue
