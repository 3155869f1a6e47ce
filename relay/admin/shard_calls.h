// Questions to every shard at once, asked from a thread that waits for the answers.
//
// Each question runs on its shard's loop. What it answers with is held by the answers themselves,
// so that one that comes after the asker has given up finds a place and no dangling reference. A
// question that a stopping loop drops is answered as Cancelled.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "net/base/result.h"
#include "net/loop.h"

namespace sluice::relay {

// The answers of several shards, filled from their loops and awaited by one thread.
template <class T>
class Answers {
 public:
  explicit Answers(size_t count) : values_(count), missing_(count) {}

  void set(size_t index, Result<T> value) {
    const std::lock_guard lock(mutex_);
    if (values_[index]) return;
    values_[index].emplace(std::move(value));
    if (--missing_ == 0) complete_.notify_all();
  }

  // All answers, in order; the first error, if there is one. Errors: Timeout, Cancelled.
  Result<std::vector<T>> wait(std::chrono::milliseconds timeout) {
    std::unique_lock lock(mutex_);
    if (!complete_.wait_for(lock, timeout, [this] { return missing_ == 0; })) {
      return fail(Errc::Timeout, "a shard did not answer in time");
    }
    std::vector<T> out;
    for (auto& value : values_) {
      if (!*value) return tl::unexpected<Error>(value->error());
      out.push_back(std::move(**value));
    }
    return out;
  }

 private:
  std::mutex mutex_;
  std::condition_variable complete_;
  std::vector<std::optional<Result<T>>> values_;  // guarded by mutex_
  size_t missing_;                                // guarded by mutex_
};

// The duty to answer once: destroyed unanswered, it answers Cancelled.
template <class T>
class Answer {
 public:
  Answer(std::shared_ptr<Answers<T>> answers, size_t index)
      : answers_(std::move(answers)), index_(index) {}
  Answer(Answer&&) noexcept = default;
  Answer& operator=(Answer&&) = delete;
  ~Answer() {
    if (answers_) answers_->set(index_, fail(Errc::Cancelled, "the relay is stopping"));
  }
  void give(Result<T> value) { std::exchange(answers_, nullptr)->set(index_, std::move(value)); }

 private:
  std::shared_ptr<Answers<T>> answers_;
  size_t index_;
};

// Calls ask(index, Answer<T>) on each loop, and waits for the answers.
template <class T, class Ask>
Result<std::vector<T>> askShards(const std::vector<net::Loop*>& loops,
                                 std::chrono::milliseconds timeout, Ask ask) {
  auto answers = std::make_shared<Answers<T>>(loops.size());
  for (size_t index = 0; index < loops.size(); ++index) {
    loops[index]->post([ask, index, answer = Answer<T>(answers, index)]() mutable {
      ask(index, std::move(answer));
    });
  }
  return answers->wait(timeout);
}

}  // namespace sluice::relay
