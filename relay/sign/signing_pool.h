// Threads that sign, so that no loop has to: an RSA signature takes as long as twenty messages.
//
// Submit from a loop's thread; what comes of it comes back on that loop. The threads begin with the
// first job. Whoever waits for a signature holds the memory of its message, and each session waits
// for one at most, so the queue of jobs needs no bound of its own.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "net/base/result.h"
#include "net/base/unique_function.h"
#include "net/loop.h"
#include "relay/sign/dkim_signature.h"

namespace sluice::relay {

// The field of each draft. Errors: Io.
Result<std::vector<std::string>> signAll(const std::vector<DkimDraft>& drafts);

class SigningPool {
 public:
  using Done = UniqueFunction<void(Result<std::vector<std::string>>)>;
  explicit SigningPool(size_t threads) : most_threads_(threads) {}
  ~SigningPool();  // stop()

  // Calls `done` with signAll()'s result: at once where only quick keys sign, else on a later turn
  // of `loop`, which outlives the pool. After stop(), never.
  void sign(std::vector<DkimDraft> drafts, net::Loop& loop, Done done);
  // Drops what waits, ends what runs.
  void stop();

 private:
  void run();
  const size_t most_threads_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> jobs_;  // guarded by mutex_, and so is what follows
  size_t idle_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace sluice::relay
