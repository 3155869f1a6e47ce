// A few threads for what would stall a loop: password hashes, reads of files.
//
// Any thread may hand work in; threads begin when there is some. What waits is bounded: who is
// turned away says "try again later".
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "net/base/unique_function.h"

namespace sluice::net {

class WorkerPool {
 public:
  WorkerPool(size_t threads, size_t max_waiting);
  ~WorkerPool();  // stop()
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // False, and `work` is dropped, if as much waits as may, or after stop().
  bool run(Task work);
  // Drops what waits, lets what runs end.
  void stop();

 private:
  void work();

  const size_t most_threads_;
  const size_t max_waiting_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> waiting_;          // guarded by mutex_, as is the rest
  std::vector<std::thread> threads_;  // only stop() takes any away
  size_t idle_ = 0;
  bool stopping_ = false;
};

}  // namespace sluice::net
