// A scripted stream, a queue that commits when told to, and a log that remembers: what a server
// session stands between.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "net/loop.h"
#include "net/stream.h"
#include "queue/queue.h"
#include "relay/accept/receive_settings.h"
#include "relay/log/event_log.h"
#include "relay/route/router.h"

namespace sluice::relay {

// What happened on a stream; outlives it.
struct StreamRecord {
  std::string written;
  net::Stream::Handler* handler = nullptr;
  int flushes = 0;
  size_t unsent_bytes = 0;
  bool input_waits = false;
  bool paused = false;
  bool finished = false;
  bool closed = false;

  bool open() const { return !finished && !closed; }
  void receive(std::string_view bytes) {
    if (!handler) return;
    // Copied, so that a sanitizer sees any view that is kept.
    const std::string copy(bytes);
    handler->onRead(copy);
  }
  void end(Errc why = Errc::Closed) {
    closed = true;
    if (handler) std::exchange(handler, nullptr)->onEnd({why, "ended"});
  }
  // The peer's FIN, as a TCP stream tells it.
  void finishPeer() {
    if (handler && !handler->onPeerFinished()) end();
  }
  std::string take() { return std::exchange(written, {}); }
};

class FakeStream final : public net::Stream {
 public:
  FakeStream(StreamRecord& record, const std::string& peer)
      : record_(record), peer_(Endpoint::parse(peer).value()) {}
  ~FakeStream() override { record_.handler = nullptr; }
  void setHandler(Handler* handler) override { record_.handler = handler; }
  void write(std::string_view bytes) override { pending_.append(bytes); }
  void write(Slice slice) override { pending_.append(slice.bytes); }
  void flush() override {
    ++record_.flushes;
    record_.written.append(std::exchange(pending_, {}));
  }
  size_t unsentBytes() const override { return record_.unsent_bytes; }
  void pauseReading() override { record_.paused = true; }
  void resumeReading() override { record_.paused = false; }
  void finish() override {
    flush();
    record_.finished = true;
    record_.handler = nullptr;
  }
  void close() override {
    record_.closed = true;
    record_.handler = nullptr;
  }
  bool inputWaits() const override { return record_.input_waits; }
  Endpoint peer() const override { return peer_; }
  Endpoint local() const override { return {}; }

 private:
  StreamRecord& record_;
  Endpoint peer_;
  std::string pending_;
};

struct Committed {
  queue::MessageId id;
  std::string content;
  queue::Envelope envelope;
  std::vector<queue::Group> groups;
  UniqueFunction<void(Result<void>)> done;
};

class FakeQueue final : public queue::ShardQueue {
 public:
  class FakeIncoming final : public queue::Incoming {
   public:
    FakeIncoming(FakeQueue& queue, queue::MessageId id) : queue_(queue), id_(id) {
      queue_.incoming = this;
      ++queue_.incomings;
    }
    ~FakeIncoming() override {
      queue_.incoming = nullptr;
      --queue_.incomings;
    }
    const queue::MessageId& id() const override { return id_; }
    void append(std::string_view bytes) override { content.append(bytes); }
    uint64_t size() const override { return content.size(); }
    bool congested() const override { return queue_.congested; }
    void onRelieved(Task task) override { relieved = std::move(task); }
    std::string content;
    Task relieved;

   private:
    FakeQueue& queue_;
    queue::MessageId id_;
  };

  std::unique_ptr<queue::Incoming> newIncoming(uint64_t expected_bytes) override {
    expected = expected_bytes;
    return std::make_unique<FakeIncoming>(*this, ids_.next());
  }
  Result<void> mayAccept(uint64_t) const override { return may_accept; }
  void commit(std::unique_ptr<queue::Incoming> message, queue::Envelope envelope,
              std::vector<queue::Group> groups, UniqueFunction<void(Result<void>)> done) override {
    const auto& fake = static_cast<FakeIncoming&>(*message);
    commits.push_back({fake.id(), fake.content, std::move(envelope), std::move(groups), {}});
    if (at_once) return done({});
    commits.back().done = std::move(done);
  }
  // Completes the oldest commit that waits.
  void complete(Result<void> result = {}) {
    for (Committed& commit : commits) {
      if (!commit.done) continue;
      auto done = std::move(commit.done);
      commit.done = nullptr;
      return done(std::move(result));
    }
    FAIL() << "no commit waits";
  }

  void submit(queue::NewMessage, UniqueFunction<void(Result<queue::MessageId>)>) override {}
  std::unique_ptr<queue::Work> take(const queue::QueueKey&) override { return nullptr; }
  std::vector<queue::QueueKey> readyKeys() const override { return {}; }
  uint64_t readyGroups(const queue::QueueKey&) const override { return 0; }
  void settle(std::unique_ptr<queue::Work>, std::vector<queue::Settlement>,
              std::vector<queue::NewMessage>, Task) override {}
  void sweepOverdue(const queue::QueueKey&, WallTime, WallTime) override {}
  std::vector<queue::KeyStatus> status() const override { return {}; }
  void list(queue::MessageFilter, std::optional<queue::MessageId>, size_t,
            UniqueFunction<void(Result<queue::MessagePage>)>) override {}
  void readContent(const queue::MessageId&, UniqueFunction<void(Result<ByteChain>)>) override {}
  void act(queue::Action, queue::MessageFilter, UniqueFunction<void(std::unique_ptr<queue::Work>)>,
           UniqueFunction<void(Result<queue::ActionResult>)>) override {}

  std::deque<Committed> commits;
  FakeIncoming* incoming = nullptr;  // the one under way
  int incomings = 0;
  uint64_t expected = 0;
  bool congested = false;
  bool at_once = true;  // commits are done when they begin
  Result<void> may_accept;

 private:
  queue::MessageIdSource ids_{0, 1, Clock::system()};
};

class FakeLog final : public EventLog {
 public:
  void message(MessageEvent event) override { messages.push_back(std::move(event)); }
  void log(LogEvent event) override { events.push_back(std::move(event)); }
  void logLimited(std::string_view, LogEvent event) override { log(std::move(event)); }
  uint64_t dropped() const override { return 0; }
  void flush() override {}
  void setLevel(LogLevel) override {}
  std::vector<MessageEvent> messages;
  std::vector<LogEvent> events;
};

// One turn of the loop: deferred work, timers that are due.
inline void turn(net::Loop& loop) {
  loop.stop();
  loop.run();
}

// Turns until `condition` holds; false if it does not within a few seconds.
template <class Condition>
bool turnUntil(net::Loop& loop, Condition condition) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > give_up) return false;
    turn(loop);
  }
  return true;
}

inline Config configOf(ReceiveConfig connector = {}) {
  Config config;
  config.hostname = "relay.test";
  config.postmaster = "post.master@admin.test";
  connector.name = "apps";
  if (connector.relay_networks.empty()) {
    connector.relay_networks = {IpNetwork::parse("127.0.0.0/8").value(),
                                IpNetwork::parse("::1").value()};
  }
  config.receive = {connector};
  return config;
}

inline std::shared_ptr<const ReceiveSettings> settingsOf(ReceiveConfig connector = {}) {
  const Config config = configOf(std::move(connector));
  return ReceiveSettings::from(config, config.receive.front());
}

// "hub.test" by a smart host, "nowhere.test" by nothing, the rest of ".test" and admin by MX.
inline std::shared_ptr<const Router> routerOf() {
  SendConfig hub;
  hub.name = "hub";
  hub.address_spaces = {{"hub.test", 1}, {".hub.test", 1}};
  hub.route = Route::SmartHost;
  hub.smart_hosts = {{"smart.test", 25}};
  SendConfig internet;
  internet.name = "internet";
  internet.address_spaces = {{".test", 1}};
  return std::make_shared<Router>(std::vector<SendConfig>{hub, internet},
                                  std::vector<DestinationConfig>{});
}

}  // namespace sluice::relay
