// A queue on its own loops, each on its own thread, for tests that restart it, look at it and wait
// for what it does.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "net/loop.h"
#include "queue/queue.h"
#include "queue/queue_metrics.h"

namespace sluice::queue::test {

using namespace std::chrono_literals;

// A directory that is removed with its content.
class TempDirectory {
 public:
  TempDirectory() {
    std::string name = std::filesystem::temp_directory_path() / "sluice-queue-XXXXXX";
    path_ = ::mkdtemp(name.data());
  }
  ~TempDirectory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Polls a condition that threads bring about; the failure says what was waited for.
template <class Condition>
::testing::AssertionResult eventually(Condition condition, std::chrono::milliseconds within = 20s) {
  const auto end = std::chrono::steady_clock::now() + within;
  while (std::chrono::steady_clock::now() < end) {
    if (condition()) return ::testing::AssertionSuccess();
    std::this_thread::sleep_for(1ms);
  }
  return ::testing::AssertionFailure() << "did not happen in " << within.count() << " ms";
}

// The wall and steady clock of the machine, moved by the test. Any thread.
class ShiftedClock final : public Clock {
 public:
  SteadyTime steady() const override { return Clock::system().steady() + shift(steady_ms_); }
  WallTime wall() const override { return Clock::system().wall() + shift(wall_ms_); }
  void advance(std::chrono::milliseconds by) {
    steady_ms_ += by.count();
    wall_ms_ += by.count();
  }
  void jumpWall(std::chrono::milliseconds by) { wall_ms_ += by.count(); }

 private:
  static std::chrono::milliseconds shift(const std::atomic<int64_t>& ms) {
    return std::chrono::milliseconds(ms.load());
  }
  std::atomic<int64_t> steady_ms_{0};
  std::atomic<int64_t> wall_ms_{0};
};

class Listener final : public QueueListener {
 public:
  void onReady(const QueueKey& key) override {
    ++ready_calls;
    if (on_ready) on_ready(key);
  }
  void onOverdue(std::unique_ptr<Work> work) override {
    if (on_overdue) on_overdue(std::move(work));
    ++overdue_calls;
  }
  std::atomic<int> ready_calls{0};
  std::atomic<int> overdue_calls{0};
  std::function<void(const QueueKey&)> on_ready;
  std::function<void(std::unique_ptr<Work>)> on_overdue;
};

// A queue that can be closed and opened again over the same directory.
class QueueHarness {
 public:
  explicit QueueHarness(size_t shards = 1) : shards_(shards) {
    options.directory = directory.path() + "/data";
    options.database_memory_bytes = 16 << 20;
    options.memory_bytes = 16 << 20;
    options.disk_reserve_bytes = 0;
    options.recheck_interval = 5ms;
    options.clock = &clock;
    options.on_event = [this](const StoreEvent& event) {
      const std::lock_guard lock(events_mutex_);
      events_.push_back(event);
    };
  }
  ~QueueHarness() { stop(); }

  Result<void> tryStart(bool recover = true) {
    metrics = std::make_unique<QueueMetrics>();
    std::vector<net::Loop*> loops;
    for (size_t i = 0; i < shards_; ++i) {
      loops_.push_back(std::move(*net::Loop::create()));
      loops.push_back(loops_.back().get());
    }
    auto opened = Queue::open(options, loops, *metrics);
    if (!opened) {
      loops_.clear();
      return tl::unexpected<Error>(opened.error());
    }
    queue = std::move(*opened);
    listeners.clear();
    for (size_t i = 0; i < shards_; ++i) {
      listeners.push_back(std::make_unique<Listener>());
      if (prepare_listener) prepare_listener(i, *listeners.back());
      queue->setListener(i, *listeners.back());
    }
    for (auto& loop : loops_) threads_.emplace_back([one = loop.get()] { one->run(); });
    if (recover) queue->startRecovery();
    return {};
  }
  void stop() {
    for (auto& loop : loops_) loop->stop();
    for (auto& thread : threads_) thread.join();
    threads_.clear();
    if (before_close) before_close();  // Works end before their queue
    if (queue) queue->close();
    queue.reset();
    loops_.clear();
  }
  // As if killed now: the next start finds the directory as it is at this moment. `release` lets go
  // what would keep it from stopping.
  void die(const std::function<void()>& release = nullptr) {
    const std::string as_it_is = directory.path() + "/as-it-is";
    // A file that the database is done with may go while it is copied: then once more.
    for (std::error_code error = std::make_error_code(std::errc::no_such_file_or_directory);
         error == std::errc::no_such_file_or_directory;) {
      std::filesystem::remove_all(as_it_is);
      std::filesystem::copy(options.directory, as_it_is, std::filesystem::copy_options::recursive,
                            error);
    }
    if (release) release();
    stop();
    std::filesystem::remove_all(options.directory);
    std::filesystem::rename(as_it_is, options.directory);
  }
  void setShards(size_t shards) { shards_ = shards; }

  // Runs on the shard's loop and gives what it returns.
  template <class Function>
  auto on(size_t shard, Function function) {
    using Value = std::invoke_result_t<Function&, ShardQueue&>;
    std::promise<Value> promise;
    auto future = promise.get_future();
    loops_[shard]->post([&] { promise.set_value(function(queue->shard(shard))); });
    return future.get();
  }

  void start(bool recover = true) {
    const auto started = tryStart(recover);
    ASSERT_TRUE(started) << started.error().detail;
    if (recover) {
      ASSERT_TRUE(eventually([&] { return queue->health().walk_complete; }));
    }
    for (size_t i = 0; i < shards_; ++i) on(i, [](ShardQueue&) { return 0; });
  }
  void restart() {
    stop();
    start();
  }

  static Envelope envelopeFor(const std::vector<std::string>& recipients,
                              const std::string& sender = "sender@example.com") {
    Envelope envelope;
    envelope.reverse_path = sender;
    envelope.receive_connector = "apps";
    envelope.client = "127.0.0.1";
    for (const auto& recipient : recipients) envelope.recipients.push_back({recipient, {}, ""});
    return envelope;
  }

  // One group for each domain.
  static std::vector<Group> groupsByDomain(const Envelope& envelope) {
    std::map<std::string, Group> groups;
    for (size_t i = 0; i < envelope.recipients.size(); ++i) {
      const std::string& path = envelope.recipients[i].forward_path;
      Group& group = groups[path.substr(path.find('@') + 1)];
      group.key = path.substr(path.find('@') + 1);
      group.recipients.push_back(static_cast<uint16_t>(i));
    }
    std::vector<Group> out;
    for (auto& [key, group] : groups) out.push_back(std::move(group));
    return out;
  }

  // Accepts a message and waits for its 250.
  Result<MessageId> accept(const std::vector<std::string>& recipients, const std::string& content,
                           size_t shard = 0, const std::string& sender = "sender@example.com") {
    std::promise<Result<MessageId>> promise;
    auto future = promise.get_future();
    loops_[shard]->post([&] {
      ShardQueue& face = queue->shard(shard);
      auto incoming = face.newIncoming(content.size());
      const MessageId id = incoming->id();
      incoming->append(content);
      Envelope envelope = envelopeFor(recipients, sender);
      envelope.front_fields = front_fields;
      auto groups = groupsByDomain(envelope);
      face.commit(std::move(incoming), std::move(envelope), std::move(groups),
                  [&promise, id](Result<void> result) {
                    if (result)
                      promise.set_value(id);
                    else
                      promise.set_value(tl::unexpected<Error>(result.error()));
                  });
    });
    return future.get();
  }

  // Takes what is next under `key`, waiting for it; nothing if nothing comes in time.
  std::unique_ptr<Work> take(const QueueKey& key, size_t shard = 0,
                             std::chrono::milliseconds within = 10s) {
    std::unique_ptr<Work> work;
    (void)static_cast<bool>(eventually(
        [&] {
          work = on(shard, [&](ShardQueue& face) { return face.take(key); });
          return work != nullptr;
        },
        within));
    return work;
  }

  // Settles and waits until it is written.
  void settle(std::unique_ptr<Work> work, std::vector<Settlement> settlements,
              std::vector<NewMessage> notices = {}, size_t shard = 0) {
    std::promise<void> written;
    loops_[shard]->post([&] {
      queue->shard(shard).settle(std::move(work), std::move(settlements), std::move(notices),
                                 [&] { written.set_value(); });
    });
    written.get_future().get();
  }
  void drop(std::unique_ptr<Work> work, size_t shard = 0) {
    on(shard, [&](ShardQueue&) {
      work.reset();
      return 0;
    });
  }

  static std::vector<Settlement> all(const Work& work, Settlement like) {
    std::vector<Settlement> out;
    for (const uint16_t recipient : work.recipients()) {
      out.push_back(like);
      out.back().recipient = recipient;
    }
    return out;
  }
  static Settlement ended() { return {}; }
  Settlement deferred(std::chrono::milliseconds by, const std::string& reply = "451 later") const {
    Settlement settlement;
    settlement.what = Settlement::What::Deferred;
    settlement.due = clock.wall() + by;
    settlement.last_reply = reply;
    return settlement;
  }

  KeyStatus status(const QueueKey& key, size_t shard = 0) {
    const auto all = on(shard, [](ShardQueue& face) { return face.status(); });
    for (const auto& one : all)
      if (one.key == key) return one;
    return {};
  }

  MessagePage list(MessageFilter filter, std::optional<MessageId> after = {}, size_t limit = 100,
                   size_t shard = 0) {
    std::promise<Result<MessagePage>> promise;
    auto future = promise.get_future();
    loops_[shard]->post([&] {
      queue->shard(shard).list(filter, after, limit,
                               [&](Result<MessagePage> page) { promise.set_value(page); });
    });
    auto page = future.get();
    EXPECT_TRUE(page) << page.error().detail;
    return page ? *page : MessagePage{};
  }

  ActionResult act(Action action, MessageFilter filter,
                   std::function<void(std::unique_ptr<Work>)> each = nullptr, size_t shard = 0) {
    std::promise<Result<ActionResult>> promise;
    auto future = promise.get_future();
    loops_[shard]->post([&] {
      queue->shard(shard).act(action, filter, each,
                              [&](Result<ActionResult> result) { promise.set_value(result); });
    });
    auto result = future.get();
    EXPECT_TRUE(result) << result.error().detail;
    return result ? *result : ActionResult{};
  }

  Result<std::string> content(const MessageId& id, size_t shard = 0) {
    std::promise<Result<ByteChain>> promise;
    auto future = promise.get_future();
    loops_[shard]->post([&] {
      queue->shard(shard).readContent(
          id, [&](Result<ByteChain> bytes) { promise.set_value(std::move(bytes)); });
    });
    auto bytes = future.get();
    if (!bytes) return tl::unexpected<Error>(bytes.error());
    return bytes->flatten();
  }

  // The content as delivery reads it, chunk by chunk.
  Result<std::string> deliver(Work& work, size_t shard = 0) {
    std::string out;
    for (size_t i = 0; i < work.content().chunks(); ++i) {
      std::promise<Result<std::vector<Slice>>> promise;
      auto future = promise.get_future();
      loops_[shard]->post([&] {
        work.content().chunk(i, [&](Result<std::vector<Slice>> r) { promise.set_value(r); });
      });
      const auto slices = future.get();
      if (!slices) return tl::unexpected<Error>(slices.error());
      for (const Slice& slice : *slices) out.append(slice.bytes);
    }
    return out;
  }

  std::vector<StoreEvent> events(StoreEvent::What what) const {
    const std::lock_guard lock(events_mutex_);
    std::vector<StoreEvent> out;
    for (const auto& event : events_)
      if (event.what == what) out.push_back(event);
    return out;
  }
  std::string databasePath() const { return options.directory + "/queue"; }
  net::Loop& loop(size_t shard) { return *loops_[shard]; }

  TempDirectory directory;
  std::string front_fields;  // of what is accepted
  ShiftedClock clock;
  QueueOptions options;
  std::unique_ptr<QueueMetrics> metrics;
  std::function<void(size_t, Listener&)> prepare_listener;
  std::function<void()> before_close;
  std::vector<std::unique_ptr<Listener>> listeners;
  std::unique_ptr<Queue> queue;

 private:
  size_t shards_;
  std::vector<std::unique_ptr<net::Loop>> loops_;
  std::vector<std::thread> threads_;
  mutable std::mutex events_mutex_;
  std::vector<StoreEvent> events_;
};

}  // namespace sluice::queue::test
