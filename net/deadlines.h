// Many coarse timeouts on one libuv timer: arming and cancelling cost a few instructions.
//
// A hierarchical timing wheel with ticks of kTick. A deadline never fires early, and up to one tick
// late. All on the loop's thread.
#pragma once

#include <uv.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>

#include "net/base/clock.h"
#include "net/base/unique_function.h"

namespace sluice::net {

class Deadlines;

// One timeout, owned by whoever waits. Destroying it cancels it. The callback may re-arm the
// deadline or destroy its owner.
class Deadline {
 public:
  Deadline() = default;
  explicit Deadline(Task on_due) { onDue(std::move(on_due)); }
  ~Deadline() { cancel(); }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  void onDue(Task task) { on_due_ = std::make_shared<Task>(std::move(task)); }
  // Fires once, `after` from now; replaces an earlier arming.
  void arm(Deadlines& wheel, Duration after);
  void cancel();
  bool armed() const { return wheel_ != nullptr; }

 private:
  friend class Deadlines;
  Deadlines* wheel_ = nullptr;  // set while armed
  Deadline* next_ = nullptr;
  Deadline** at_ = nullptr;  // what points to us in the slot's list
  uint64_t due_tick_ = 0;
  std::shared_ptr<Task> on_due_;  // shared with the wheel while it runs
};

class Deadlines {
 public:
  static constexpr std::chrono::milliseconds kTick{8};

  explicit Deadlines(uv_loop_t* loop);
  ~Deadlines();

 private:
  friend class Deadline;
  static constexpr int kLevels = 5;
  static constexpr int kSlotBits = 6;
  static constexpr int kSlots = 1 << kSlotBits;

  uint64_t tickNow() const;
  void insert(Deadline& deadline, Duration after);
  void place(Deadline& deadline);
  void cascade(int level);
  void schedule();
  void onTimer();
  void fireSlot(Deadline*& slot);

  uv_loop_t* loop_;
  uv_timer_t* timer_;
  uint64_t current_tick_ = 0;  // all deadlines due up to this tick have fired
  uint64_t wake_tick_ = 0;     // what the timer is set for; 0: not set
  size_t armed_ = 0;
  bool firing_ = false;
  std::array<std::array<Deadline*, kSlots>, kLevels> slots_{};
};

}  // namespace sluice::net
