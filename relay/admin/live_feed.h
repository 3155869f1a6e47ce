// One sampler for all who watch: each gets every sample, made by whichever of them comes first to
// want it. Who watches costs a waiting thread; nobody watching costs nothing.
//
// Any thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "net/http/http_server.h"

namespace sluice::relay {

class LiveFeed {
 public:
  using Duration = std::chrono::milliseconds;
  static constexpr size_t kMaxStreams = 4;        // each holds a thread of the server
  static constexpr Duration kLifetime{300'000};   // of a stream: a client that is gone is noticed
  static constexpr Duration kBeat{5'000};         // something is sent at least so often
  static constexpr Duration kInterval{2'000};     // of samples
  static constexpr int kRest = 10;                // times as long as a dear sample took to make
  static constexpr size_t kUnbounded = SIZE_MAX;  // samples of a stream

  // `make` gives a sample as one line of JSON; never two at a time.
  explicit LiveFeed(std::function<std::string()> make, Duration interval = kInterval)
      : make_(std::move(make)), interval_(interval) {}

  // A response of server-sent events: `samples` of them at most. 503 if enough watch already; a
  // single sample is always to be had.
  net::HttpResponse stream(size_t samples);
  // All streams end, and no new one begins.
  void stop();

 private:
  struct Watcher;
  // The next sample after the `seen`th, or a beat; nothing once stopped.
  std::optional<std::string> next(uint64_t& seen);

  const std::function<std::string()> make_;
  const Duration interval_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string event_;    // guarded by mutex_, as all below
  uint64_t made_ = 0;    // samples so far
  bool making_ = false;  // one thread is about it
  std::chrono::steady_clock::time_point due_{};
  size_t streams_ = 0;
  bool stopped_ = false;
};

}  // namespace sluice::relay
