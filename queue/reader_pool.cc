// Which read is next.
#include "queue/reader_pool.h"

#include <algorithm>

namespace sluice::queue {

ReaderPool::ReaderPool(size_t threads) : most_normal_(std::max<size_t>(threads, 2) - 1) {
  for (size_t i = 0; i <= most_normal_; ++i) threads_.emplace_back([this] { run(); });
}

ReaderPool::~ReaderPool() { stop(); }

void ReaderPool::urgent(Task task) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  urgent_.push_back(std::move(task));
  changed_.notify_one();
}

void ReaderPool::normal(Task task) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  normal_.push_back(std::move(task));
  changed_.notify_one();
}

void ReaderPool::stop() {
  std::deque<Task> dropped, dropped_too;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped.swap(urgent_);
    dropped_too.swap(normal_);
    changed_.notify_all();
  }
  for (std::thread& thread : threads_)
    if (thread.joinable()) thread.join();
}

bool ReaderPool::mayRunNormal() const { return !normal_.empty() && running_normal_ < most_normal_; }

void ReaderPool::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !urgent_.empty() || mayRunNormal(); });
    if (stopping_) return;
    const bool is_urgent = !urgent_.empty();
    auto& from = is_urgent ? urgent_ : normal_;
    Task task = std::move(from.front());
    from.pop_front();
    if (!is_urgent) ++running_normal_;
    lock.unlock();
    task();
    task = nullptr;
    lock.lock();
    if (!is_urgent && running_normal_-- > 0 && !normal_.empty()) changed_.notify_one();
  }
}

}  // namespace sluice::queue
