// What delivery stands between: a queue that forgets nothing, name servers by script, and hosts
// that speak SMTP by script over loopback, all on one loop.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/listener.h"
#include "net/loop.h"
#include "queue/queue.h"
#include "relay/deliver/delivery_context.h"
#include "relay/deliver/dispatcher.h"

namespace sluice::relay {

// One turn of the loop: what is ready, due or deferred.
inline void turn(net::Loop& loop) {
  loop.stop();
  loop.run();
}

// Turns until `condition` holds; false if it does not within some seconds.
template <class Condition>
bool turnUntil(net::Loop& loop, Condition condition) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > give_up) return false;
    turn(loop);
  }
  return true;
}

class FakeLog final : public EventLog {
 public:
  void message(MessageEvent event) override { messages.push_back(std::move(event)); }
  void log(LogEvent event) override { events.push_back(std::move(event)); }
  void logLimited(std::string_view, LogEvent event) override { log(std::move(event)); }
  uint64_t dropped() const override { return 0; }
  void flush() override {}
  void setLevel(LogLevel) override {}
  size_t count(std::string_view event) const {
    return static_cast<size_t>(std::count_if(messages.begin(), messages.end(),
                                             [&](const auto& one) { return one.event == event; }));
  }
  std::vector<MessageEvent> messages;
  std::vector<LogEvent> events;
};

// Groups of one recipient each, in memory. Deferred ones stay in `deferred` for ever.
class FakeQueue final : public queue::ShardQueue {
 public:
  struct Letter {
    queue::MessageId id;
    std::shared_ptr<queue::Envelope> envelope;
    std::string text;
  };
  class FakeWork final : public queue::Work, public queue::Content {
   public:
    FakeWork(FakeQueue& queue, queue::QueueKey key, Letter letter)
        : queue_(queue), key_(std::move(key)), letter_(std::move(letter)) {
      const BlockRef block = Block::copyOf(letter_.text);
      slices_ = {{block, block->view()}};
      ++queue_.active;
    }
    ~FakeWork() override {
      --queue_.active;
      if (!settled) queue_.ready_[key_].push_front(std::move(letter_));
    }
    const queue::MessageId& id() const override { return letter_.id; }
    const queue::QueueKey& key() const override { return key_; }
    const queue::Envelope& envelope() const override { return *letter_.envelope; }
    std::span<const uint16_t> recipients() const override { return {&kFirst, 1}; }
    const queue::AttemptRecord& attempts() const override { return attempts_; }
    queue::Content& content() override { return *this; }
    uint64_t size() const override { return letter_.text.size(); }
    size_t chunks() const override { return 1; }
    void chunk(size_t, Done done) override { done(slices_); }
    const std::vector<Slice>* inMemory() const override { return &slices_; }
    const Letter& letter() const { return letter_; }
    bool settled = false;

   private:
    static constexpr uint16_t kFirst = 0;
    FakeQueue& queue_;
    queue::QueueKey key_;
    Letter letter_;
    std::vector<Slice> slices_;
    queue::AttemptRecord attempts_;
  };

  // Makes a message ready for `recipient` and tells the listener.
  void add(const queue::QueueKey& key, const std::string& recipient,
           const std::string& text = "Subject: x\r\n\r\nbody\r\n") {
    Letter letter{ids_.next(), std::make_shared<queue::Envelope>(), text};
    letter.envelope->reverse_path = "sender@example.org";
    letter.envelope->recipients.push_back({recipient, {}, {}});
    letter.envelope->received_at = Clock::system().wall();
    ready_[key].push_back(std::move(letter));
    if (listener) listener->onReady(key);
  }

  std::unique_ptr<queue::Work> take(const queue::QueueKey& key) override {
    const auto found = ready_.find(key);
    if (found == ready_.end()) return nullptr;
    Letter letter = std::move(found->second.front());
    found->second.pop_front();
    if (found->second.empty()) ready_.erase(found);
    ++taken;
    return std::make_unique<FakeWork>(*this, key, std::move(letter));
  }
  std::vector<queue::QueueKey> readyKeys() const override {
    std::vector<queue::QueueKey> keys;
    for (const auto& [key, letters] : ready_) keys.push_back(key);
    return keys;
  }
  uint64_t readyGroups(const queue::QueueKey& key) const override {
    const auto found = ready_.find(key);
    return found == ready_.end() ? 0 : found->second.size();
  }
  void settle(std::unique_ptr<queue::Work> work, std::vector<queue::Settlement> settlements,
              std::vector<queue::NewMessage> made, Task) override {
    for (queue::NewMessage& notice : made) notices.push_back(std::move(notice));
    auto& fake = static_cast<FakeWork&>(*work);
    fake.settled = true;
    for (const queue::Settlement& one : settlements) {
      const queue::QueueKey key = one.key.empty() ? work->key() : one.key;
      switch (one.what) {
        case queue::Settlement::What::Ended:
          ++ended;
          break;
        case queue::Settlement::What::Deferred:
        case queue::Settlement::What::Held:
          deferred.push_back(key);
          break;
        case queue::Settlement::What::Ready:
          ready_[key].push_back(fake.letter());
          if (listener) listener->onReady(key);
          break;
      }
    }
  }
  void sweepOverdue(const queue::QueueKey&, WallTime, WallTime) override {}

  std::unique_ptr<queue::Incoming> newIncoming(uint64_t) override { return nullptr; }
  Result<void> mayAccept(uint64_t) const override { return {}; }
  void commit(std::unique_ptr<queue::Incoming>, queue::Envelope, std::vector<queue::Group>,
              UniqueFunction<void(Result<void>)>) override {}
  void submit(queue::NewMessage, UniqueFunction<void(Result<queue::MessageId>)>) override {}
  std::vector<queue::KeyStatus> status() const override { return {}; }
  void list(queue::MessageFilter, std::optional<queue::MessageId>, size_t,
            UniqueFunction<void(Result<queue::MessagePage>)>) override {}
  void readContent(const queue::MessageId&, UniqueFunction<void(Result<ByteChain>)>) override {}
  void act(queue::Action, queue::MessageFilter, UniqueFunction<void(std::unique_ptr<queue::Work>)>,
           UniqueFunction<void(Result<queue::ActionResult>)>) override {}

  queue::QueueListener* listener = nullptr;
  size_t ended = 0;
  size_t taken = 0;
  size_t active = 0;
  std::vector<queue::QueueKey> deferred;
  std::vector<queue::NewMessage> notices;

 private:
  std::map<queue::QueueKey, std::deque<Letter>> ready_;
  queue::MessageIdSource ids_{0, 1, Clock::system()};
};

// Answers within the call, by functions that a test sets.
class FakeResolver final : public net::Resolver {
 public:
  using Mx = UniqueFunction<void(Result<net::MxAnswer>)>;
  using Addresses = UniqueFunction<void(Result<net::AddressAnswer>)>;
  std::unique_ptr<net::Lookup> mx(const std::string& domain, Mx done) override {
    ++mx_asked;
    done(answer_mx(domain));
    return nullptr;
  }
  std::unique_ptr<net::Lookup> addresses(const std::string& host, Addresses done) override {
    if (++addresses_asked > answers) {  // no answer comes any more
      unanswered.push_back(std::move(done));
      return nullptr;
    }
    done(answer_addresses(host));
    return nullptr;
  }
  std::unique_ptr<net::Lookup> txt(
      const std::string&, UniqueFunction<void(Result<std::vector<std::string>>)>) override {
    return nullptr;
  }
  std::unique_ptr<net::Lookup> tlsa(const std::string&,
                                    UniqueFunction<void(Result<net::TlsaAnswer>)>) override {
    return nullptr;
  }
  void flushCache() override {}

  // By default a domain's only host is "mx." and the domain.
  std::function<Result<net::MxAnswer>(const std::string&)> answer_mx =
      [](const std::string& domain) -> Result<net::MxAnswer> {
    net::MxAnswer answer;
    answer.hosts = {{"mx." + domain, 10}};
    answer.valid_until = SteadyTime::max();
    return answer;
  };
  std::function<Result<net::AddressAnswer>(const std::string&)> answer_addresses;
  size_t mx_asked = 0;
  size_t addresses_asked = 0;
  size_t answers = SIZE_MAX;
  std::vector<Addresses> unanswered;
};

inline net::AddressAnswer addressOf(const std::string& address) {
  net::AddressAnswer answer;
  answer.addresses = {*IpAddress::parse(address)};
  answer.valid_until = SteadyTime::max();
  return answer;
}

// A host over loopback: a good server unless `answer` says otherwise.
class ScriptedHost {
 public:
  ScriptedHost(net::Loop& loop, const std::string& address, uint16_t port = 0)
      : loop_(loop), at_(*Endpoint::parse(address + ":" + std::to_string(port))) {
    listen();
  }
  void listen() {
    const int socket = *net::bindListener(at_);
    at_ = net::localEndpoint(socket);
    listener_ = std::move(
        *net::Listener::create(loop_, socket, [this](std::unique_ptr<net::TcpStream> stream) {
          ++accepted;
          talks_.push_back(std::make_unique<Talk>(*this, std::move(stream)));
          peak = std::max(peak, open());
        }));
  }
  void refuseConnections() { listener_.reset(); }
  void hangUp() { talks_.clear(); }

  size_t open() const {
    return static_cast<size_t>(
        std::count_if(talks_.begin(), talks_.end(), [](const auto& talk) { return !talk->over; }));
  }
  uint16_t port() const { return at_.port; }
  // Connections on which the reply to a content is held back.
  size_t holding() const {
    return static_cast<size_t>(std::count_if(
        talks_.begin(), talks_.end(), [](const auto& talk) { return talk->holds && !talk->over; }));
  }
  // The most chunked contents that came on one of them.
  size_t mostWaiting() const {
    size_t most = 0;
    for (const auto& talk : talks_) most = std::max(most, talk->waiting());
    return most;
  }
  // Says what was held back, and goes on.
  void release(const std::string& reply) {
    for (const auto& talk : talks_) talk->release(reply);
  }

  // The reply to a command line, to the content ("."), or to the connection (""). "ok" is a good
  // server's; empty holds it back, and all behind it; "close" closes.
  std::function<std::string(const std::string& line)> answer = [](const std::string&) {
    return std::string("ok");  // as a good server does
  };
  std::string extensions = "250-host.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n";
  // Loses what comes in the same read behind a command, as some boxes on the way do.
  bool swallows = false;
  size_t accepted = 0;
  size_t peak = 0;
  size_t messages = 0;
  std::vector<std::string> lines;

 private:
  struct Talk final : net::Stream::Handler {
    Talk(ScriptedHost& host, std::unique_ptr<net::TcpStream> its)
        : host_(host), stream(std::move(its)) {
      stream->setHandler(this);
      respond("");
    }
    void onRead(std::string_view bytes) override {
      in.append(bytes);
      work();
    }
    void onEnd(const Error&) override { over = true; }
    void work() {
      while (!over && !holds) {
        if (bdat > 0) {
          const size_t part = std::min(bdat, in.size());
          in.erase(0, part);
          bdat -= part;
          if (bdat > 0) return;
          respond(".");
          continue;
        }
        const bool empty = content && in.starts_with(".\r\n");
        const size_t end = empty ? 0 : in.find(content ? "\r\n.\r\n" : "\r\n");
        if (end == std::string::npos) return;
        const std::string line = in.substr(0, end);
        in.erase(0, end + (content && !empty ? 5 : empty ? 3 : 2));
        if (host_.swallows && line.starts_with("MAIL")) in.clear();
        if (content) {
          content = false;
          respond(".");
        } else if (line.starts_with("BDAT")) {
          bdat = std::stoul(line.substr(5));
          host_.lines.push_back(line);
        } else {
          respond(line);
        }
      }
    }
    void respond(const std::string& line) {
      if (!line.empty()) host_.lines.push_back(line);
      std::string reply = host_.answer(line);
      if (reply == "ok") reply = goodReply(line);
      if (reply.empty()) {
        holds = true;
        return;
      }
      if (reply == "close") {
        over = true;
        return stream->finish();
      }
      if (line == "." && reply.starts_with("2")) ++host_.messages;
      if (line.starts_with("DATA") && reply.starts_with("354")) content = true;
      stream->write(reply);
      stream->flush();
      over = line.starts_with("QUIT");
    }
    void release(const std::string& reply) {
      if (!std::exchange(holds, false) || over) return;
      if (reply.starts_with("250")) ++host_.messages;
      stream->write(reply);
      stream->flush();
      work();
    }
    size_t waiting() const {
      if (!holds || over) return 0;
      size_t count = 1;
      for (size_t at = in.find("BDAT "); at != std::string::npos; at = in.find("BDAT ", at + 1)) {
        ++count;
      }
      return count;
    }
    std::string goodReply(const std::string& line) const {
      if (line.empty()) return "220 host.test ESMTP\r\n";
      if (line.starts_with("EHLO")) return host_.extensions;
      if (line.starts_with("DATA")) return "354 go on\r\n";
      if (line.starts_with("QUIT")) return "221 2.0.0 bye\r\n";
      return "250 2.0.0 ok\r\n";
    }
    ScriptedHost& host_;
    std::unique_ptr<net::TcpStream> stream;
    std::string in;
    size_t bdat = 0;  // octets of the chunk that are still to come
    bool content = false;
    bool holds = false;
    bool over = false;
  };

  net::Loop& loop_;
  Endpoint at_;
  std::unique_ptr<net::Listener> listener_;
  std::vector<std::unique_ptr<Talk>> talks_;
};

// A dispatcher with all that it needs; connectors are set before start().
struct Delivering : testing::Test {
  std::unique_ptr<net::Loop> loop = std::move(*net::Loop::create());
  FakeQueue queue;
  FakeResolver resolver;
  FakeLog log;
  BudgetRegistry budgets;
  DeliveryMetrics metrics;
  std::map<std::string, std::unique_ptr<ConnectorMetrics>> connector_metrics;
  Config config;
  std::unique_ptr<DeliveryContext> context;
  std::unique_ptr<Dispatcher> dispatcher;

  Delivering() {
    std::signal(SIGPIPE, SIG_IGN);  // as the relay does: a host may close while we write
    config.hostname = "relay.test";
    config.queue.retry_first = std::chrono::milliseconds(40);
  }
  // To smart hosts by address; queued under "=" and its name.
  static SendConfig smartHost(const std::string& name, std::vector<SmartHost> hosts) {
    SendConfig connector = byMx(name, 25);
    connector.route = Route::SmartHost;
    connector.smart_hosts = std::move(hosts);
    return connector;
  }
  static SendConfig byMx(const std::string& name, uint16_t port) {
    SendConfig connector;
    connector.name = name;
    connector.address_spaces = {{"*", 1}};
    connector.port = port;
    connector.allow_private_hosts = {*IpNetwork::parse("127.0.0.0/8")};
    connector.limits.tls = SendTls::Off;
    connector.limits.host_backoff = std::chrono::milliseconds(20);
    connector.limits.idle_timeout = std::chrono::milliseconds(20);
    return connector;
  }
  void start(std::vector<SendConfig> connectors) {
    config.send = connectors;
    for (const SendConfig& one : connectors) {
      connector_metrics[one.name] = std::make_unique<ConnectorMetrics>();
    }
    context = std::unique_ptr<DeliveryContext>(new DeliveryContext{
        *loop,
        queue,
        resolver,
        log,
        budgets,
        metrics,
        connector_metrics,
        std::make_shared<const Config>(config),
        std::make_shared<const Router>(connectors, std::vector<DestinationConfig>{}),
        {},
        {},
        {},
        {}});
    dispatcher = std::make_unique<Dispatcher>(*context);
    queue.listener = dispatcher.get();
  }
  void TearDown() override {
    queue.listener = nullptr;
    if (!dispatcher) return;
    dispatcher->abortAll();
    turn(*loop);
    dispatcher.reset();
    turn(*loop);
  }
  bool until(std::function<bool()> condition) { return turnUntil(*loop, condition); }
  std::string stateOf(const queue::QueueKey& key) const {
    return dispatcher->destinationOf(key).state;
  }
};

}  // namespace sluice::relay
