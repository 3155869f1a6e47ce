// A few threads for reads that would stall a loop. Delivery's reads of content go before scans and
// look-ups, and one thread is always theirs.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "net/base/unique_function.h"

namespace sluice::queue {

class ReaderPool {
 public:
  explicit ReaderPool(size_t threads);
  ~ReaderPool();  // stop()
  // Any thread. Dropped after stop().
  void urgent(Task task);
  void normal(Task task);
  // Drops what waits, ends what runs.
  void stop();

 private:
  void run();
  bool mayRunNormal() const;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> urgent_;
  std::deque<Task> normal_;
  const size_t most_normal_;  // one fewer than there are threads
  size_t running_normal_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace sluice::queue
