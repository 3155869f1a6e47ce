// A name server on a thread of its own: UDP and TCP on one loopback port, answers by handlers that
// a test gives, every query recorded. And a builder for messages, right and wrong ones.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "net/base/ip_address.h"
#include "net/dns/dns_message.h"

namespace sluice::net {

struct FakeQuery {
  uint16_t id = 0;
  std::string name;
  DnsType type = DnsType::A;
  std::string question;  // as it came
  bool tcp = false;
  bool wants_ad = false;
  uint16_t source_port = 0;
};

struct FakeReply {
  std::vector<std::string> messages;
  std::chrono::milliseconds delay{0};
  bool close = false;    // TCP: close instead of answering
  bool trickle = false;  // TCP: a byte every 20 ms
};

// Builds the answer to a query.
class Answer {
 public:
  explicit Answer(const FakeQuery& query) : query_(query) {}

  static std::string wireName(std::string_view name) {
    std::string wire;
    while (!name.empty() && name != ".") {
      const size_t dot = std::min(name.find('.'), name.size());
      wire += static_cast<char>(dot);
      wire += name.substr(0, dot);
      name.remove_prefix(std::min(dot + 1, name.size()));
    }
    return wire + '\0';
  }
  static std::string u16(unsigned number) {
    return {static_cast<char>(number >> 8 & 0xff), static_cast<char>(number & 0xff)};
  }
  static std::string u32(uint32_t number) { return u16(number >> 16) + u16(number & 0xffff); }

  Answer& record(std::string_view owner, DnsType type, uint32_t ttl, const std::string& data) {
    records_ += wireName(owner) + u16(static_cast<unsigned>(type)) + u16(1) + u32(ttl) +
                u16(static_cast<unsigned>(data.size())) + data;
    ++count_;
    return *this;
  }
  Answer& address(const std::string& text, uint32_t ttl = 300) {
    return addressOf(query_.name, text, ttl);
  }
  Answer& addressOf(std::string_view owner, const std::string& text, uint32_t ttl = 300) {
    const IpAddress ip = IpAddress::parse(text).value();
    const auto& bytes = ip.bytes();
    const size_t skip = ip.isV4() ? 12 : 0;
    return record(owner, ip.isV4() ? DnsType::A : DnsType::Aaaa, ttl,
                  std::string(reinterpret_cast<const char*>(bytes.data()) + skip, 16 - skip));
  }
  Answer& mx(unsigned preference, std::string_view host, uint32_t ttl = 300) {
    return record(query_.name, DnsType::Mx, ttl, u16(preference) + wireName(host));
  }
  Answer& alias(std::string_view from, std::string_view to, uint32_t ttl = 300) {
    return record(from, DnsType::Cname, ttl, wireName(to));
  }
  Answer& txt(std::initializer_list<std::string> strings) {
    std::string data;
    for (const auto& text : strings) data += static_cast<char>(text.size()) + text;
    return record(query_.name, DnsType::Txt, 300, data);
  }
  Answer& rcode(DnsRcode rcode) {
    flags_ = (flags_ & ~0xfu) | static_cast<unsigned>(rcode);
    return *this;
  }
  Answer& soa(uint32_t ttl = 300, uint32_t minimum = 300) {
    const std::string data = wireName("ns.test") + wireName("root.test") + u32(1) + u32(2) +
                             u32(3) + u32(4) + u32(minimum);
    authority_ += wireName("test") + u16(6) + u16(1) + u32(ttl) +
                  u16(static_cast<unsigned>(data.size())) + data;
    return *this;
  }
  Answer& truncated() {
    flags_ |= 0x0200;
    return *this;
  }
  Answer& authentic() {
    flags_ |= 0x0020;
    return *this;
  }
  Answer& flags(unsigned flags) {
    flags_ = flags;
    return *this;
  }
  Answer& id(unsigned id) {
    query_.id = static_cast<uint16_t>(id);
    return *this;
  }
  Answer& question(std::string wire) {
    query_.question = std::move(wire);
    return *this;
  }
  Answer& claimRecords(unsigned count) {
    count_ = count;
    return *this;
  }
  Answer& append(const std::string& bytes) {
    records_ += bytes;
    return *this;
  }

  std::string bytes() const {
    return u16(query_.id) + u16(flags_) + u16(1) + u16(count_) + u16(authority_.empty() ? 0 : 1) +
           u16(0) + query_.question + records_ + authority_;
  }
  operator FakeReply() const { return {.messages = {bytes()}}; }  // NOLINT

 private:
  FakeQuery query_;
  unsigned flags_ = 0x8180;
  unsigned count_ = 0;
  std::string records_;
  std::string authority_;
};

class FakeNameServer {
 public:
  using Handler = std::function<FakeReply(const FakeQuery&)>;

  FakeNameServer() {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(any);
    // A port that is free for UDP may be taken for TCP: try until one is free for both.
    for (int tries = 0; tries < 100; ++tries) {
      any.sin_port = 0;
      udp_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
      listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      auto* address = reinterpret_cast<sockaddr*>(&any);
      if (bind(udp_, address, size) == 0 && getsockname(udp_, address, &size) == 0 &&
          bind(listener_, address, size) == 0 && listen(listener_, 64) == 0) {
        break;
      }
      ::close(udp_);
      ::close(listener_);
    }
    port_ = ntohs(any.sin_port);
    if (pipe2(wake_, O_CLOEXEC) != 0) std::abort();
    thread_ = std::thread([this] { run(); });
  }
  ~FakeNameServer() {
    if (write(wake_[1], "x", 1) != 1) std::abort();
    thread_.join();
    for (const int fd : {udp_, listener_, wake_[0], wake_[1]}) ::close(fd);
    for (const auto& connection : connections_) ::close(connection.fd);
  }

  Endpoint endpoint() const { return {IpAddress::v4({127, 0, 0, 1}), port_}; }

  void on(const std::string& name, DnsType type, Handler handler) {
    const std::lock_guard lock(mutex_);
    handlers_[{name, type}] = std::move(handler);
  }
  // For what has no handler of its own; at first that is NXDOMAIN.
  void otherwise(Handler handler) {
    const std::lock_guard lock(mutex_);
    otherwise_ = std::move(handler);
  }
  std::vector<FakeQuery> queries() const {
    const std::lock_guard lock(mutex_);
    return queries_;
  }
  size_t count() const { return queries().size(); }

 private:
  using TimePoint = std::chrono::steady_clock::time_point;
  struct Connection {
    int fd;
    std::string in;
  };
  struct Pending {
    TimePoint due;
    int tcp_fd;  // -1: UDP to `to`
    sockaddr_in to;
    std::string bytes;
    bool close;
  };

  void run() {
    while (true) {
      std::vector<pollfd> fds{{wake_[0], POLLIN, 0}, {udp_, POLLIN, 0}, {listener_, POLLIN, 0}};
      for (const auto& connection : connections_) fds.push_back({connection.fd, POLLIN, 0});
      poll(fds.data(), fds.size(), waitTime());
      if ((fds[0].revents & POLLIN) != 0) return;
      sendDue();
      if ((fds[1].revents & POLLIN) != 0) readUdp();
      for (size_t i = 3; i < fds.size(); ++i) {
        if (fds[i].revents != 0) readTcp(fds[i].fd);
      }
      if ((fds[2].revents & POLLIN) != 0)
        connections_.push_back({accept(listener_, nullptr, nullptr), {}});
    }
  }

  int waitTime() const {
    int wait = 1000;
    const auto now = std::chrono::steady_clock::now();
    for (const auto& pending : pending_) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(pending.due - now).count();
      wait = std::clamp(static_cast<int>(left), 0, wait);
    }
    return wait;
  }

  void sendDue() {
    const auto now = std::chrono::steady_clock::now();
    std::vector<Pending> later;
    for (auto& pending : std::exchange(pending_, {})) {
      if (pending.due > now) {
        later.push_back(std::move(pending));
      } else if (pending.tcp_fd < 0) {
        sendto(udp_, pending.bytes.data(), pending.bytes.size(), 0,
               reinterpret_cast<const sockaddr*>(&pending.to), sizeof(pending.to));
      } else if (isOpen(pending.tcp_fd)) {
        send(pending.tcp_fd, pending.bytes.data(), pending.bytes.size(), MSG_NOSIGNAL);
        if (pending.close) closeConnection(pending.tcp_fd);
      }
    }
    for (auto& pending : later) pending_.push_back(std::move(pending));
  }

  bool isOpen(int fd) const {
    return std::any_of(connections_.begin(), connections_.end(),
                       [fd](const auto& connection) { return connection.fd == fd; });
  }
  void closeConnection(int fd) {
    ::close(fd);
    std::erase_if(connections_, [fd](const auto& connection) { return connection.fd == fd; });
  }

  void readUdp() {
    char buffer[4096];
    sockaddr_in from{};
    socklen_t size = sizeof(from);
    const ssize_t count = recvfrom(udp_, buffer, sizeof(buffer), MSG_DONTWAIT,
                                   reinterpret_cast<sockaddr*>(&from), &size);
    if (count < 12) return;
    const FakeReply reply =
        replyTo({buffer, static_cast<size_t>(count)}, false, ntohs(from.sin_port));
    const auto due = std::chrono::steady_clock::now() + reply.delay;
    for (const auto& message : reply.messages) pending_.push_back({due, -1, from, message, false});
  }

  void readTcp(int fd) {
    char buffer[4096];
    const ssize_t count = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
    if (count <= 0) return closeConnection(fd);
    auto connection = std::find_if(connections_.begin(), connections_.end(),
                                   [fd](const auto& known) { return known.fd == fd; });
    connection->in.append(buffer, static_cast<size_t>(count));
    while (connection->in.size() >= 2) {
      const size_t bytes = static_cast<size_t>(static_cast<uint8_t>(connection->in[0])) << 8 |
                           static_cast<uint8_t>(connection->in[1]);
      if (connection->in.size() < bytes + 2) return;
      const FakeReply reply = replyTo(connection->in.substr(2, bytes), true, 0);
      connection->in.erase(0, bytes + 2);
      queueTcp(fd, reply);
      if (reply.close && reply.delay.count() == 0) return closeConnection(fd);
    }
  }

  void queueTcp(int fd, const FakeReply& reply) {
    auto due = std::chrono::steady_clock::now() + reply.delay;
    for (const auto& message : reply.messages) {
      const std::string framed = Answer::u16(static_cast<unsigned>(message.size())) + message;
      if (!reply.trickle) {
        pending_.push_back({due, fd, {}, framed, reply.close});
        continue;
      }
      for (const char byte : framed) {
        pending_.push_back({due, fd, {}, std::string(1, byte), false});
        due += std::chrono::milliseconds(20);
      }
    }
  }

  FakeReply replyTo(const std::string& message, bool tcp, uint16_t source_port) {
    FakeQuery query;
    const auto byte = [&message](size_t at) { return static_cast<uint8_t>(message[at]); };
    query.id = static_cast<uint16_t>(byte(0) << 8 | byte(1));
    query.wants_ad = (byte(3) & 0x20) != 0;
    query.tcp = tcp;
    query.source_port = source_port;
    size_t at = 12;
    while (at < message.size() && byte(at) != 0) {
      if (!query.name.empty()) query.name += '.';
      query.name += message.substr(at + 1, byte(at));
      at += size_t{byte(at)} + 1;
    }
    if (at + 5 > message.size()) return {};
    query.type = static_cast<DnsType>(byte(at + 1) << 8 | byte(at + 2));
    query.question = message.substr(12, at + 5 - 12);
    Handler handler;
    {
      const std::lock_guard lock(mutex_);
      queries_.push_back(query);
      const auto found = handlers_.find({query.name, query.type});
      handler = found != handlers_.end() ? found->second : otherwise_;
    }
    return handler(query);
  }

  mutable std::mutex mutex_;
  std::map<std::pair<std::string, DnsType>, Handler> handlers_;  // guarded by mutex_
  Handler otherwise_ = [](const FakeQuery& query) -> FakeReply {
    return Answer(query).rcode(DnsRcode::NxDomain).soa();
  };                                // guarded by mutex_
  std::vector<FakeQuery> queries_;  // guarded by mutex_

  int udp_ = -1;
  int listener_ = -1;
  int wake_[2] = {-1, -1};
  uint16_t port_ = 0;
  std::vector<Connection> connections_;  // of the thread
  std::vector<Pending> pending_;         // of the thread
  std::thread thread_;
};

}  // namespace sluice::net
