// One libuv event loop: run it, post work to it from other threads, read its time.
//
// Everything but post() and stop() belongs to the thread that runs the loop. Objects that live on
// a loop are destroyed on its thread, before the Loop itself.
#pragma once

#include <uv.h>

#include <memory>
#include <mutex>
#include <vector>

#include "net/base/clock.h"
#include "net/base/result.h"
#include "net/base/unique_function.h"
#include "net/deadlines.h"

namespace sluice::net {

class Loop {
 public:
  static Result<std::unique_ptr<Loop>> create();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Runs until stop(). Afterwards the loop's objects can be destroyed and drainHandles() called.
  void run();
  void stop();            // any thread
  void post(Task task);   // any thread; runs on the loop, in order of posting; dropped after stop
  void defer(Task task);  // loop thread: runs when the current callback has returned

  // Steady time, read once a turn.
  SteadyTime now() const;
  WallTime wallNow() const { return Clock::system().wall(); }
  uv_loop_t* raw() { return &loop_; }
  Deadlines& deadlines() { return *deadlines_; }
  // Time between when the loop should have come round and when it did, worst since last asked.
  Duration takeWorstLag();

 private:
  Loop() = default;
  void runPosted();
  void runDeferred();

  uv_loop_t loop_{};
  uv_async_t wake_{};
  uv_prepare_t prepare_{};
  uv_check_t check_{};
  std::unique_ptr<Deadlines> deadlines_;
  std::mutex posted_mutex_;
  std::vector<Task> posted_;  // guarded by posted_mutex_
  bool accepting_ = true;     // guarded by posted_mutex_
  std::vector<Task> deferred_;
  uint64_t poll_returned_ns_ = 0;
  Duration worst_lag_{};
};

}  // namespace sluice::net
