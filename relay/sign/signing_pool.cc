#include "relay/sign/signing_pool.h"

#include <algorithm>

namespace sluice::relay {

Result<std::vector<std::string>> signAll(const std::vector<DkimDraft>& drafts) {
  std::vector<std::string> fields;
  for (const DkimDraft& draft : drafts) {
    ASSIGN_OR_RETURN(const std::string signature, draft.key->sign(draft.digest));
    fields.push_back(completeSignature(draft, signature));
  }
  return fields;
}

SigningPool::~SigningPool() { stop(); }

void SigningPool::sign(std::vector<DkimDraft> drafts, net::Loop& loop, Done done) {
  const bool quick = std::all_of(drafts.begin(), drafts.end(), [](const DkimDraft& draft) {
    return draft.key->kind() == net::SigningKey::Kind::Ed25519;
  });
  if (quick) return done(signAll(drafts));
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  jobs_.push_back([drafts = std::move(drafts), &loop, done = std::move(done)]() mutable {
    loop.post(
        [fields = signAll(drafts), done = std::move(done)]() mutable { done(std::move(fields)); });
  });
  if (idle_ < jobs_.size() && threads_.size() < most_threads_) {
    threads_.emplace_back([this] { run(); });
  }
  changed_.notify_one();
}

void SigningPool::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_;
    changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    --idle_;
    if (stopping_) return;
    Task job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    job = nullptr;
    lock.lock();
  }
}

void SigningPool::stop() {
  std::deque<Task> dropped;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped.swap(jobs_);
    changed_.notify_all();
  }
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

}  // namespace sluice::relay
