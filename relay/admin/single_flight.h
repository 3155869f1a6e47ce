// Many ask the same costly question at once: it is asked once for all of them.
//
// An answer is never older than the call that gets it: who comes while a question is under way
// shares the next one. Any thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace sluice::relay {

// T is cheap to copy, e.g. a shared_ptr.
template <class T>
class SingleFlight {
 public:
  template <class Ask>
  T get(Ask ask) {
    std::unique_lock lock(mutex_);
    const uint64_t wanted = started_ + 1;
    changed_.wait(lock, [&] { return finished_ >= wanted || !under_way_; });
    if (finished_ >= wanted) return answer_;
    under_way_ = true;
    const uint64_t mine = ++started_;
    lock.unlock();
    try {
      T answer = ask();
      lock.lock();
      answer_ = answer;
      finished_ = mine;
      land();
      return answer;
    } catch (...) {  // those who wait ask for themselves
      if (!lock.owns_lock()) lock.lock();
      land();
      throw;
    }
  }

 private:
  void land() {
    under_way_ = false;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  T answer_{};  // guarded by mutex_, as all below
  uint64_t started_ = 0;
  uint64_t finished_ = 0;
  bool under_way_ = false;
};

}  // namespace sluice::relay
