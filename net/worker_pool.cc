#include "net/worker_pool.h"

#include <utility>

namespace sluice::net {

WorkerPool::WorkerPool(size_t threads, size_t max_waiting)
    : most_threads_(threads), max_waiting_(max_waiting) {}

WorkerPool::~WorkerPool() { stop(); }

bool WorkerPool::run(Task work) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || waiting_.size() >= max_waiting_) return false;
    waiting_.push_back(std::move(work));
    if (waiting_.size() > idle_ && threads_.size() < most_threads_) {
      threads_.emplace_back([this] { this->work(); });
    }
  }
  changed_.notify_one();
  return true;
}

void WorkerPool::stop() {
  std::deque<Task> dropped;  // destroyed without the lock: whatever they hold may be ours to call
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped = std::exchange(waiting_, {});
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();  // nobody adds any while stopping
  threads_.clear();
}

void WorkerPool::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_;
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    --idle_;
    if (stopping_) return;
    Task next = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    next();
    next = nullptr;
    lock.lock();
  }
}

}  // namespace sluice::net
