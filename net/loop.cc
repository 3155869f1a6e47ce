#include "net/loop.h"

#include <utility>

namespace sluice::net {

Result<std::unique_ptr<Loop>> Loop::create() {
  std::unique_ptr<Loop> loop(new Loop);
  if (const int error = uv_loop_init(&loop->loop_); error != 0) {
    return fail(Errc::Io, std::string("event loop: ") + uv_strerror(error));
  }
  loop->loop_.data = loop.get();
  uv_async_init(&loop->loop_, &loop->wake_,
                [](uv_async_t* wake) { static_cast<Loop*>(wake->loop->data)->runPosted(); });
  uv_prepare_init(&loop->loop_, &loop->prepare_);
  uv_check_init(&loop->loop_, &loop->check_);
  uv_prepare_start(&loop->prepare_, [](uv_prepare_t* handle) {
    auto* self = static_cast<Loop*>(handle->loop->data);
    self->runDeferred();
    if (self->poll_returned_ns_ != 0) {
      const Duration busy(static_cast<int64_t>(uv_hrtime() - self->poll_returned_ns_));
      if (busy > self->worst_lag_) self->worst_lag_ = busy;
    }
  });
  uv_check_start(&loop->check_, [](uv_check_t* handle) {
    auto* self = static_cast<Loop*>(handle->loop->data);
    self->poll_returned_ns_ = uv_hrtime();
    self->runDeferred();
  });
  // Neither keeps the loop alive by itself; wake_ does, until the destructor.
  uv_unref(reinterpret_cast<uv_handle_t*>(&loop->prepare_));
  uv_unref(reinterpret_cast<uv_handle_t*>(&loop->check_));
  loop->deadlines_ = std::make_unique<Deadlines>(&loop->loop_);
  return loop;
}

Loop::~Loop() {
  {
    const std::lock_guard lock(posted_mutex_);
    accepting_ = false;
  }
  posted_.clear();
  deferred_.clear();
  deadlines_.reset();
  uv_close(reinterpret_cast<uv_handle_t*>(&wake_), nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(&prepare_), nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(&check_), nullptr);
  uv_run(&loop_, UV_RUN_DEFAULT);  // lets every close callback run
  uv_loop_close(&loop_);
}

void Loop::run() { uv_run(&loop_, UV_RUN_DEFAULT); }

void Loop::stop() {
  post([this] { uv_stop(&loop_); });
}

void Loop::post(Task task) {
  const std::lock_guard lock(posted_mutex_);
  if (!accepting_) return;
  posted_.push_back(std::move(task));
  // Inside the lock, so that the destructor cannot close the handle in between.
  if (posted_.size() == 1) uv_async_send(&wake_);
}

void Loop::defer(Task task) { deferred_.push_back(std::move(task)); }

SteadyTime Loop::now() const { return SteadyTime(std::chrono::milliseconds(uv_now(&loop_))); }

Duration Loop::takeWorstLag() { return std::exchange(worst_lag_, Duration{}); }

void Loop::runPosted() {
  std::vector<Task> tasks;
  {
    const std::lock_guard lock(posted_mutex_);
    tasks.swap(posted_);
  }
  for (Task& task : tasks) task();
}

void Loop::runDeferred() {
  while (!deferred_.empty()) {
    std::vector<Task> tasks;
    tasks.swap(deferred_);
    for (Task& task : tasks) task();
  }
}

}  // namespace sluice::net
