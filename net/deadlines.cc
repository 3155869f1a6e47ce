#include "net/deadlines.h"

#include <algorithm>

namespace sluice::net {

void Deadline::arm(Deadlines& wheel, Duration after) {
  cancel();
  wheel.insert(*this, after);
}

void Deadline::cancel() {
  if (!wheel_) return;
  *at_ = next_;
  if (next_) next_->at_ = at_;
  next_ = nullptr;
  at_ = nullptr;
  --wheel_->armed_;
  wheel_ = nullptr;
}

Deadlines::Deadlines(uv_loop_t* loop) : loop_(loop), timer_(new uv_timer_t) {
  uv_timer_init(loop_, timer_);
  timer_->data = this;
  current_tick_ = tickNow();
}

Deadlines::~Deadlines() {
  for (auto& level : slots_) {
    for (Deadline*& slot : level) {
      while (slot) slot->cancel();
    }
  }
  timer_->data = nullptr;
  uv_close(reinterpret_cast<uv_handle_t*>(timer_),
           [](uv_handle_t* closed) { delete reinterpret_cast<uv_timer_t*>(closed); });
}

uint64_t Deadlines::tickNow() const { return uv_now(loop_) / static_cast<uint64_t>(kTick.count()); }

void Deadlines::insert(Deadline& deadline, Duration after) {
  const uint64_t now = tickNow();
  if (armed_ == 0 && !firing_) current_tick_ = now;  // nothing to catch up with
  const auto ms = std::max<int64_t>(0, std::chrono::ceil<std::chrono::milliseconds>(after).count());
  const auto tick_ms = static_cast<uint64_t>(kTick.count());
  const uint64_t longest = (uint64_t{1} << (kSlotBits * kLevels)) - 2;
  const uint64_t ticks = std::min((static_cast<uint64_t>(ms) + tick_ms - 1) / tick_ms + 1, longest);
  deadline.due_tick_ = std::max(now, current_tick_) + ticks;
  deadline.wheel_ = this;
  ++armed_;
  place(deadline);
  if (!firing_ && (wake_tick_ == 0 || deadline.due_tick_ < wake_tick_)) schedule();
}

// Puts it into the slot of its due tick, on the level that its distance asks for.
void Deadlines::place(Deadline& deadline) {
  const uint64_t due = std::max(deadline.due_tick_, current_tick_);
  const uint64_t distance = due - current_tick_;
  int level = 0;
  while (level + 1 < kLevels && distance >= (uint64_t{1} << (kSlotBits * (level + 1)))) ++level;
  Deadline*& slot = slots_[static_cast<size_t>(level)][(due >> (kSlotBits * level)) % kSlots];
  deadline.next_ = slot;
  deadline.at_ = &slot;
  if (slot) slot->at_ = &deadline.next_;
  slot = &deadline;
}

// Wakes at the next used slot of the lowest level, or when the level above must be spread.
void Deadlines::schedule() {
  if (armed_ == 0) {
    uv_timer_stop(timer_);
    wake_tick_ = 0;
    return;
  }
  uint64_t tick = current_tick_ + 1;
  while (tick % kSlots != 0 && !slots_[0][tick % kSlots]) ++tick;
  wake_tick_ = tick;
  const uint64_t at_ms = tick * static_cast<uint64_t>(kTick.count());
  const uint64_t now_ms = uv_now(loop_);
  uv_timer_start(
      timer_,
      [](uv_timer_t* timer) {
        if (timer->data) static_cast<Deadlines*>(timer->data)->onTimer();
      },
      at_ms > now_ms ? at_ms - now_ms : 0, 0);
}

void Deadlines::cascade(int level) {
  Deadline* list = std::exchange(
      slots_[static_cast<size_t>(level)][(current_tick_ >> (kSlotBits * level)) % kSlots], nullptr);
  while (list) {
    Deadline* deadline = list;
    list = deadline->next_;
    place(*deadline);  // what is due exactly now goes to the slot that is fired next
  }
}

void Deadlines::fireSlot(Deadline*& slot) {
  // Detached, so that what is armed meanwhile is not fired in this round.
  Deadline* list = std::exchange(slot, nullptr);
  if (list) list->at_ = &list;
  while (list) {
    Deadline* deadline = list;
    const std::shared_ptr<Task> task = deadline->on_due_;
    deadline->cancel();
    if (task && *task) (*task)();
  }
}

void Deadlines::onTimer() {
  firing_ = true;
  wake_tick_ = 0;
  const uint64_t now = tickNow();
  while (current_tick_ < now && armed_ > 0) {
    ++current_tick_;
    for (int level = 1; level < kLevels; ++level) {
      if (current_tick_ % (uint64_t{1} << (kSlotBits * level)) != 0) break;
      cascade(level);
    }
    fireSlot(slots_[0][current_tick_ % kSlots]);
  }
  firing_ = false;
  if (armed_ == 0) current_tick_ = now;
  schedule();
}

}  // namespace sluice::net
