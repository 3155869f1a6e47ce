// A queue looked through offline: every record verified, every readable message given out. For
// `sluice spool check` and `sluice spool export`.
//
// Opens for reading only and changes nothing, so it works on a stopped queue, on a copy of a
// damaged one, and on a running one as it was at that moment. One thread.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "net/base/result.h"
#include "queue/queue.h"

namespace sluice::queue {

struct SpoolMessage {
  MessageId id;
  std::shared_ptr<const Envelope> envelope;
  std::vector<RecipientStatus> recipients;  // those that are still to be served
  std::string content;                      // what of it can be read
  bool content_whole = true;
};

struct SpoolProblem {
  std::string id;  // of the message; empty if it is not known
  std::string detail;
};

struct SpoolReport {
  uint64_t messages = 0;  // whole ones
  uint64_t recipients = 0;
  uint64_t content_bytes = 0;
  uint64_t damaged_messages = 0;  // envelope, states or content
  uint64_t half_received = 0;     // never acknowledged; removed at the next start
  uint64_t dropped_log_bytes = 0;
  std::vector<SpoolProblem> problems;  // the first kMaxProblems of them
  uint64_t problem_count = 0;
  static constexpr size_t kMaxProblems = 10'000;
};

// `directory`: data_dir, or the database in it. `visit` may be empty; it gets each message whose
// envelope can be read, in the order of ids. Errors: NotFound (no queue there), Corrupt or
// Unsupported (it cannot be opened at all), Io.
Result<SpoolReport> checkSpool(const std::string& directory,
                               const std::function<void(const SpoolMessage&)>& visit);

}  // namespace sluice::queue
