// Looks after the disk once a second: how much is free, and how old the oldest message is.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "queue/queue_context.h"

namespace sluice::queue {

class DiskWatch {
 public:
  explicit DiskWatch(QueueContext& context);  // looks once at once
  ~DiskWatch();

 private:
  void run();
  void look();
  QueueContext& context_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace sluice::queue
