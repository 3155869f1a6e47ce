#include "relay/log/event_log.h"

#include <pthread.h>
#include <signal.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "relay/log/event_line.h"
#include "relay/log/line_output.h"

namespace sluice::relay {
namespace {

// Lines wait here between a thread that logs and the writer. Threads share a lane only when there
// are more of them than lanes, so that its lock is hardly ever contended.
struct alignas(64) Lane {
  std::mutex mutex;
  std::string lines;  // guarded by mutex
  TimeText time;      // guarded by mutex
};
constexpr size_t kLanes = 64;
constexpr size_t kMaxLaneBytes = 1 << 20;  // what comes beyond is dropped
// While there is traffic the writer looks this often, and nobody needs to wake it.
constexpr std::chrono::milliseconds kGather{5};

size_t laneOfThisThread() {
  static std::atomic<size_t> next{0};
  thread_local const size_t lane = next.fetch_add(1, std::memory_order_relaxed) % kLanes;
  return lane;
}

// At most one event a second of one cause.
class Limiter {
 public:
  // How many of `cause` were left out since the last one that passed; nothing if this one is to be
  // left out.
  std::optional<uint64_t> pass(std::string_view cause, SteadyTime now) {
    constexpr size_t kMaxCauses = 1000;
    const std::lock_guard lock(mutex_);
    auto found = causes_.find(cause);
    if (found == causes_.end()) {
      if (causes_.size() >= kMaxCauses) forgetOld(now);
      const bool room = causes_.size() < kMaxCauses;
      found = causes_.try_emplace(room ? std::string(cause) : std::string()).first;
    }
    Cause& known = found->second;
    if (known.seen && now - known.last < std::chrono::seconds(1)) {
      ++known.left_out;
      return std::nullopt;
    }
    known.seen = true;
    known.last = now;
    return std::exchange(known.left_out, 0);
  }

 private:
  struct Cause {
    SteadyTime last{};
    uint64_t left_out = 0;
    bool seen = false;
  };
  void forgetOld(SteadyTime now) {
    std::erase_if(causes_, [now](const auto& entry) {
      return now - entry.second.last > std::chrono::seconds(10);
    });
  }
  std::mutex mutex_;
  std::map<std::string, Cause, std::less<>> causes_;
};

class ThreadedEventLog final : public EventLog {
 public:
  explicit ThreadedEventLog(const LogOptions& options)
      : json_(options.json), level_(options.level), output_(options.fd, stopping_) {
    writer_ = std::thread([this] { run(); });
  }

  ~ThreadedEventLog() override {
    {
      const std::lock_guard lock(wake_mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    writer_.join();
  }

  void message(MessageEvent event) override {
    if (!wanted(LogLevel::Info)) return;
    append([&](std::string& out, std::string_view time) {
      appendMessageLine(out, json_, time, event);
    });
  }

  void log(LogEvent event) override {
    if (!wanted(event.level)) return;
    append(
        [&](std::string& out, std::string_view time) { appendEventLine(out, json_, time, event); });
  }

  void logLimited(std::string_view cause, LogEvent event) override {
    if (!wanted(event.level)) return;
    const auto left_out = limiter_.pass(cause, Clock::system().steady());
    if (!left_out) return;
    if (*left_out > 0) event.fields.emplace_back("left_out", static_cast<int64_t>(*left_out));
    log(std::move(event));
  }

  uint64_t dropped() const override { return dropped_.load(std::memory_order_relaxed); }

  void flush() override {
    std::unique_lock lock(wake_mutex_);
    const uint64_t mine = ++flush_asked_;
    wake_.notify_one();
    flushed_.wait(lock, [&] { return flush_done_ >= mine; });
  }

  void setLevel(LogLevel level) override { level_.store(level, std::memory_order_relaxed); }

 private:
  bool wanted(LogLevel level) const { return level >= level_.load(std::memory_order_relaxed); }

  template <class AppendLine>
  void append(AppendLine append_line) {
    Lane& lane = lanes_[laneOfThisThread()];
    {
      const std::lock_guard lock(lane.mutex);
      if (lane.lines.size() >= kMaxLaneBytes) {
        dropped_.fetch_add(1, std::memory_order_relaxed);
        return;
      }
      append_line(lane.lines, lane.time.of(Clock::system().wall()));
    }
    // The writer sets asleep_ before it looks into the lanes for the last time: either it finds
    // this line, or this thread finds it asleep.
    if (asleep_.load(std::memory_order_relaxed) && asleep_.exchange(false)) {
      const std::lock_guard lock(wake_mutex_);
      woken_ = true;
      wake_.notify_one();
    }
  }

  void run();
  bool collect();
  void write();
  void noteDropped();
  void sleepUntilWork();

  const bool json_;
  std::atomic<LogLevel> level_;
  std::array<Lane, kLanes> lanes_;
  Limiter limiter_;
  std::atomic<uint64_t> dropped_{0};
  std::atomic<bool> asleep_{false};
  std::atomic<bool> stopping_{false};

  std::mutex wake_mutex_;
  std::condition_variable wake_;
  std::condition_variable flushed_;
  bool woken_ = false;        // guarded by wake_mutex_
  uint64_t flush_asked_ = 0;  // guarded by wake_mutex_
  uint64_t flush_done_ = 0;   // guarded by wake_mutex_

  // The writer's own.
  LineOutput output_;
  std::string batch_;
  std::string spare_;
  TimeText time_;
  bool noted_ = false;  // the batch ends in a note of what was dropped since told_before_
  uint64_t told_before_ = 0;
  uint64_t dropped_told_ = 0;
  std::thread writer_;
};

void ThreadedEventLog::run() {
  // No signal is handled here; and writing to a closed pipe is to fail, not to kill.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  for (;;) {
    std::unique_lock lock(wake_mutex_);
    const bool last = stopping_;
    const uint64_t flush_mark = flush_asked_;
    lock.unlock();
    const bool found = collect();
    if (found) write();
    lock.lock();
    flush_done_ = std::max(flush_done_, flush_mark);
    flushed_.notify_all();
    if (last) return;
    const auto urgent = [this] { return stopping_ || flush_asked_ > flush_done_; };
    if (found) {
      wake_.wait_for(lock, kGather, urgent);
    } else {
      lock.unlock();
      sleepUntilWork();
    }
  }
}

// Moves what waits in the lanes into batch_.
bool ThreadedEventLog::collect() {
  batch_.clear();
  for (Lane& lane : lanes_) {
    {
      const std::lock_guard lock(lane.mutex);
      if (lane.lines.empty()) continue;
      lane.lines.swap(spare_);
    }
    if (batch_.empty()) {
      batch_.swap(spare_);
    } else {
      batch_ += spare_;
    }
    spare_.clear();
  }
  noteDropped();
  return !batch_.empty();
}

void ThreadedEventLog::write() {
  uint64_t lost = output_.write(batch_);
  if (lost > 0 && noted_) {  // the note stands last, and is lost itself: no event, and not told
    --lost;
    dropped_told_ = told_before_;
  }
  dropped_.fetch_add(lost, std::memory_order_relaxed);
}

// Tells in the log itself that it has a hole, once there is something to write again.
void ThreadedEventLog::noteDropped() {
  const uint64_t dropped = dropped_.load(std::memory_order_relaxed);
  noted_ = !batch_.empty() && dropped != dropped_told_;
  if (!noted_) return;
  told_before_ = dropped_told_;
  LogEvent event{LogLevel::Warn, "log_dropped", {}};
  event.fields.emplace_back("events", static_cast<int64_t>(dropped - dropped_told_));
  dropped_told_ = dropped;
  appendEventLine(batch_, json_, time_.of(Clock::system().wall()), event);
}

void ThreadedEventLog::sleepUntilWork() {
  asleep_ = true;
  for (Lane& lane : lanes_) {
    const std::lock_guard lock(lane.mutex);
    if (lane.lines.empty()) continue;
    asleep_ = false;
    return;
  }
  std::unique_lock lock(wake_mutex_);
  wake_.wait(lock, [this] { return woken_ || stopping_ || flush_asked_ > flush_done_; });
  woken_ = false;
  asleep_ = false;
}

}  // namespace

std::unique_ptr<EventLog> EventLog::create(const LogOptions& options) {
  return std::make_unique<ThreadedEventLog>(options);
}

}  // namespace sluice::relay
