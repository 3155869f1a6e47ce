// Shards on real loops whose queues and destinations live in memory, for tests of RelayControl.
#pragma once

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "net/loop.h"
#include "queue/queue.h"
#include "relay/admin/destination_view.h"

namespace sluice::relay {

struct FakeMessage {
  queue::MessageId id;
  std::shared_ptr<queue::Envelope> envelope;
  std::vector<queue::RecipientStatus> recipients;
};

class FakeWork final : public queue::Work {
 public:
  explicit FakeWork(FakeMessage message) : message_(std::move(message)) {}
  const queue::MessageId& id() const override { return message_.id; }
  const queue::QueueKey& key() const override { return message_.recipients[0].key; }
  const queue::Envelope& envelope() const override { return *message_.envelope; }
  std::span<const uint16_t> recipients() const override { return {}; }
  const queue::AttemptRecord& attempts() const override { return message_.recipients[0].attempts; }
  queue::Content& content() override { std::abort(); }

 private:
  FakeMessage message_;
};

// Everything on its loop's thread, but for setting it up.
class FakeShardQueue final : public queue::ShardQueue {
 public:
  std::unique_ptr<queue::Incoming> newIncoming(uint64_t) override { return nullptr; }
  Result<void> mayAccept(uint64_t) const override { return {}; }
  void commit(std::unique_ptr<queue::Incoming>, queue::Envelope, std::vector<queue::Group>,
              UniqueFunction<void(Result<void>)>) override {}
  void submit(queue::NewMessage, UniqueFunction<void(Result<queue::MessageId>)>) override {}
  std::unique_ptr<queue::Work> take(const queue::QueueKey&) override { return nullptr; }
  std::vector<queue::QueueKey> readyKeys() const override { return {}; }
  uint64_t readyGroups(const queue::QueueKey&) const override { return 0; }
  void settle(std::unique_ptr<queue::Work>, std::vector<queue::Settlement>,
              std::vector<queue::NewMessage>, Task) override {}
  void sweepOverdue(const queue::QueueKey&, WallTime, WallTime) override {}

  std::vector<queue::KeyStatus> status() const override {
    std::map<queue::QueueKey, queue::KeyStatus> keys;
    for (const FakeMessage& message : messages) {
      for (const queue::RecipientStatus& recipient : message.recipients) {
        queue::KeyStatus& key = keys[recipient.key];
        key.key = recipient.key;
        key.ready += recipient.state == queue::RecipientState::Ready ? 1 : 0;
        key.active += recipient.state == queue::RecipientState::Active ? 1 : 0;
        key.deferred += recipient.state == queue::RecipientState::Deferred ? 1 : 0;
        key.held += recipient.state == queue::RecipientState::Held ? 1 : 0;
      }
    }
    std::vector<queue::KeyStatus> out;
    for (auto& [name, key] : keys) out.push_back(key);
    return out;
  }

  void list(queue::MessageFilter filter, std::optional<queue::MessageId> after, size_t limit,
            UniqueFunction<void(Result<queue::MessagePage>)> done) override {
    if (broken) return done(fail(Errc::Io, "disk"));
    queue::MessagePage page;
    for (const FakeMessage& message : messages) {
      if ((after && message.id <= *after) || !matches(message, filter)) continue;
      if (page.items.size() == std::min(limit, max_page)) {
        page.next = page.items.back().id;
        break;
      }
      page.items.push_back({message.id, message.envelope, message.recipients});
    }
    done(std::move(page));
  }

  void readContent(const queue::MessageId& id,
                   UniqueFunction<void(Result<ByteChain>)> done) override {
    for (const FakeMessage& message : messages) {
      if (message.id != id) continue;
      ByteChain chain;
      chain.append("content of " + id.toString());
      return done(std::move(chain));
    }
    done(fail(Errc::NotFound, ""));
  }

  void act(queue::Action action, queue::MessageFilter filter,
           UniqueFunction<void(std::unique_ptr<queue::Work>)> each,
           UniqueFunction<void(Result<queue::ActionResult>)> done) override {
    if (broken) return done(fail(Errc::Io, "disk"));
    queue::ActionResult result;
    for (FakeMessage& message : messages) {
      if (!matches(message, filter)) continue;
      ++result.matched;
      result.changed += apply(action, message) ? 1 : 0;
      if (action == queue::Action::Remove) each(std::make_unique<FakeWork>(message));
    }
    if (action == queue::Action::Remove) {
      std::erase_if(messages, [&](const FakeMessage& m) { return matches(m, filter); });
    }
    done(result);
  }

  std::vector<FakeMessage> messages;  // by id
  size_t max_page = 1'000'000;        // stops looking after so many
  bool broken = false;

 private:
  static bool matches(const FakeMessage& message, const queue::MessageFilter& filter) {
    const auto& ids = filter.ids;
    if (!ids.empty() && std::find(ids.begin(), ids.end(), message.id) == ids.end()) return false;
    return std::any_of(message.recipients.begin(), message.recipients.end(), [&](const auto& r) {
      return (filter.key_or_domain.empty() || filter.key_or_domain == r.key) &&
             (!filter.state || *filter.state == r.state) &&
             (filter.recipient.empty() || filter.recipient == r.recipient);
    });
  }
  static bool apply(queue::Action action, FakeMessage& message) {
    using queue::RecipientState;
    bool changed = action == queue::Action::Remove;
    for (queue::RecipientStatus& recipient : message.recipients) {
      const bool held = recipient.state == RecipientState::Held;
      if (action == queue::Action::Hold && !held) {
        recipient.state = RecipientState::Held;
        changed = true;
      } else if (action == queue::Action::Release && held) {
        recipient.state = RecipientState::Ready;
        changed = true;
      } else if (action == queue::Action::Retry && recipient.state == RecipientState::Deferred) {
        recipient.state = RecipientState::Ready;
        changed = true;
      }
    }
    return changed;
  }
};

class FakeView final : public DestinationView {
 public:
  std::vector<DestinationStatus> destinations() const override {
    ++looks;
    const SteadyTime until = Clock::system().steady() + takes;
    while (Clock::system().steady() < until) std::this_thread::yield();
    return known;
  }
  DestinationStatus destinationOf(const queue::QueueKey& key) const override {
    for (const DestinationStatus& destination : known) {
      for (const queue::QueueKey& served : destination.keys) {
        if (served == key) return destination;
      }
    }
    return {.destination = key.starts_with("=") ? "host-of-" + key.substr(1) : key,
            .connector = "internet",
            .keys = {key},
            .state = "idle"};
  }
  void setSuspended(const std::string& destination, bool suspended) override {
    suspensions[destination] = suspended;
  }
  void retryNow(const std::string& destination) override { retried.push_back(destination); }
  void endByHand(std::unique_ptr<queue::Work> work, HandEnd how) override {
    ended.emplace_back(work->id().toString(), how != HandEnd::Discard);
  }
  void redirect(std::unique_ptr<queue::Work> work, const std::string& connector) override {
    redirected.emplace_back(work->id().toString(), connector);
  }

  std::vector<DestinationStatus> known;
  std::chrono::milliseconds takes{0};
  mutable std::atomic<int> looks{0};
  std::map<std::string, bool> suspensions;
  std::vector<std::string> retried;
  std::vector<std::pair<std::string, bool>> ended;
  std::vector<std::pair<std::string, std::string>> redirected;
};

class FakeQueue final : public queue::Queue {
 public:
  explicit FakeQueue(size_t shards) : shards_(shards) { health_.ready = true; }
  FakeShardQueue& shard(size_t index) override { return shards_[index]; }
  void setListener(size_t, queue::QueueListener&) override {}
  void startRecovery() override {}
  queue::StoreHealth health() const override { return health_; }
  Result<void> putSetting(const std::string& name, const std::string& value) override {
    settings_[name] = value;
    return {};
  }
  std::vector<std::pair<std::string, std::string>> settings(const std::string& prefix) override {
    std::vector<std::pair<std::string, std::string>> out;
    for (const auto& entry : settings_) {
      if (entry.first.starts_with(prefix)) out.push_back(entry);
    }
    return out;
  }
  Result<void> removeSetting(const std::string& name) override {
    settings_.erase(name);
    return {};
  }
  void close() override {}

  queue::StoreHealth health_;

 private:
  std::vector<FakeShardQueue> shards_;
  std::map<std::string, std::string> settings_;
};

// A loop on a thread of its own.
class LoopThread {
 public:
  LoopThread() : loop_(std::move(*net::Loop::create())), thread_([this] { loop_->run(); }) {}
  ~LoopThread() { stop(); }
  void stop() {
    if (!thread_.joinable()) return;
    loop_->stop();
    thread_.join();
  }
  net::Loop& loop() { return *loop_; }

 private:
  std::unique_ptr<net::Loop> loop_;
  std::thread thread_;
};

}  // namespace sluice::relay
