#include "relay/admin/live_feed.h"

#include <algorithm>
#include <memory>

namespace sluice::relay {

// A place among the streams, given back when the response is dropped.
struct LiveFeed::Watcher {
  explicit Watcher(LiveFeed& of) : feed(of) {}
  ~Watcher() {
    if (!counted) return;
    const std::lock_guard lock(feed.mutex_);
    --feed.streams_;
  }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  LiveFeed& feed;
  bool counted = false;
  uint64_t seen = 0;
  size_t left = 0;
  std::chrono::steady_clock::time_point until{};
};

net::HttpResponse LiveFeed::stream(size_t samples) {
  auto watcher = std::make_shared<Watcher>(*this);
  watcher->left = samples;
  watcher->until = std::chrono::steady_clock::now() + kLifetime;
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return net::httpError(503, "the relay is stopping");
    if (samples > 1 && streams_ == kMaxStreams) {
      net::HttpResponse refusal =
          net::httpError(503, "enough watch already: ask for samples=1 now and then");
      refusal.headers.emplace_back("Retry-After", "5");
      return refusal;
    }
    watcher->counted = samples > 1;
    streams_ += watcher->counted ? 1 : 0;
  }
  net::HttpResponse response;
  response.content_type = "text/event-stream";
  response.headers.emplace_back("X-Accel-Buffering", "no");  // nginx would gather it
  response.more = [watcher]() -> std::optional<std::string> {
    if (watcher->left == 0 || std::chrono::steady_clock::now() > watcher->until) {
      return std::nullopt;
    }
    const uint64_t seen = watcher->seen;
    auto event = watcher->feed.next(watcher->seen);
    if (watcher->seen != seen) --watcher->left;
    return event;
  };
  return response;
}

std::optional<std::string> LiveFeed::next(uint64_t& seen) {
  using Clock = std::chrono::steady_clock;
  const auto beat = Clock::now() + kBeat;
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    if (!making_ && Clock::now() >= due_) {
      making_ = true;
      lock.unlock();
      const auto begun = Clock::now();
      std::string event = "event: sample\ndata: " + make_() + "\n\n";
      lock.lock();
      making_ = false;
      event_ = std::move(event);
      ++made_;
      const auto now = Clock::now();
      due_ = now + std::max<Clock::duration>(interval_, kRest * (now - begun));
      changed_.notify_all();
      if (stopped_) break;
    }
    if (made_ > seen) {
      seen = made_;
      return event_;
    }
    if (Clock::now() >= beat) return ": beat\n\n";
    changed_.wait_until(lock, making_ ? beat : std::min(beat, due_));
  }
  return std::nullopt;
}

void LiveFeed::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

}  // namespace sluice::relay
