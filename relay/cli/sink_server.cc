#include "relay/cli/sink_server.h"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>

namespace sluice::relay {
namespace {

constexpr size_t kReadBytes = 256 * 1024;
constexpr uint64_t kFlushEveryNs = 100'000'000;
constexpr uint64_t kStatsEveryNs = 1'000'000'000;
constexpr int kIdleMs = 100;
constexpr size_t kMaxBufferedBytes = 1 << 20;  // behind a reply that is held back

// Tags below this are the wake-up, the signals, and the listeners.
constexpr uint64_t kWakeTag = 0;
constexpr uint64_t kSignalTag = 1;
constexpr uint64_t kListenerTag = 2;
constexpr uint64_t kConnectionTag = uint64_t{1} << 32;  // generation, from 1, in the upper half

}  // namespace

struct SinkServer::Connection {
  Connection(Descriptor fd, uint64_t its_tag, SinkSession its_session)
      : socket(std::move(fd)), tag(its_tag), session(std::move(its_session)) {}
  Descriptor socket;
  uint64_t tag;
  SinkSession session;
  size_t sent = 0;  // of the session's output
  bool wants_write = false;
  uint32_t watched = EPOLLIN;
  bool timed = false;  // a Wait is queued
};

SinkServer::SinkServer(SinkServerOptions options)
    : options_(std::move(options)),
      script_(options_.rules, options_.seed),
      read_buffer_(kReadBytes) {}

SinkServer::~SinkServer() = default;

Result<std::unique_ptr<SinkServer>> SinkServer::create(SinkServerOptions options,
                                                       std::ostream& out) {
  std::unique_ptr<SinkServer> server(new SinkServer(std::move(options)));
  RETURN_IF_ERROR(server->open(out));
  return server;
}

Result<void> SinkServer::open(std::ostream& out) {
  ASSIGN_OR_RETURN(recorder_, SinkRecorder::create(options_.recorder, tally_, out));
  ASSIGN_OR_RETURN(Poller poller, Poller::create());
  poller_ = std::make_unique<Poller>(std::move(poller));
  wake_ = Descriptor(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!wake_) return fail(Errc::Io, "eventfd");
  RETURN_IF_ERROR(poller_->add(wake_, EPOLLIN, kWakeTag));
  for (const Endpoint& at : options_.listen) {
    ASSIGN_OR_RETURN(Descriptor listener, listenAt(at));
    ASSIGN_OR_RETURN(const Endpoint local, localOf(listener));
    RETURN_IF_ERROR(poller_->add(listener, EPOLLIN, kListenerTag + listeners_.size()));
    listeners_.push_back(std::move(listener));
    listening_.push_back(local);
  }
  return {};
}

void SinkServer::stop() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof one);
}

Result<void> SinkServer::run(bool signals) {
  Descriptor signal_fd;
  if (signals) {
    ASSIGN_OR_RETURN(signal_fd, stopSignals());
    RETURN_IF_ERROR(poller_->add(signal_fd, EPOLLIN, kSignalTag));
  }
  while (!stopping_) {
    for (const epoll_event& event : poller_->wait(timeoutMs())) {
      const uint64_t tag = event.data.u64;
      if (tag == kWakeTag || tag == kSignalTag) {
        stopping_ = true;
      } else if (tag < kConnectionTag) {
        accept(listeners_[tag - kListenerTag]);
      } else if (Connection* connection = find(tag)) {
        if (event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
          onReadable(*connection);
        } else {
          advance(*connection);
        }
      }
    }
    resumeDue();
    housekeeping(false);
  }
  housekeeping(true);
  return recorder_->flush();
}

void SinkServer::accept(const Descriptor& listener) {
  while (true) {
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    Descriptor socket(accept4(listener.get(), reinterpret_cast<sockaddr*>(&address), &length,
                              SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) return;  // nobody more, or no descriptor free: the next turn tries again
    setNoDelay(socket);
    if (free_slots_.empty()) {
      free_slots_.push_back(connections_.size());
      connections_.emplace_back();
    }
    const size_t slot = free_slots_.back();
    const uint64_t tag = uint64_t{++generation_} << 32 | slot;
    const Endpoint peer = Endpoint::from(reinterpret_cast<const sockaddr&>(address));
    if (!poller_->add(socket, EPOLLIN, tag)) return;
    free_slots_.pop_back();
    connections_[slot] = std::make_unique<Connection>(
        std::move(socket), tag,
        SinkSession(options_.session, script_, tally_, *recorder_, peer.address.toString()));
    tally_.onConnect();
    connections_[slot]->session.onConnect();
    advance(*connections_[slot]);
  }
}

SinkServer::Connection* SinkServer::find(uint64_t tag) {
  const size_t slot = tag & 0xffffffffu;
  if (slot >= connections_.size()) return nullptr;
  Connection* connection = connections_[slot].get();
  return connection && connection->tag == tag ? connection : nullptr;
}

void SinkServer::onReadable(Connection& connection) {
  const ssize_t count =
      ::recv(connection.socket.get(), read_buffer_.data(), read_buffer_.size(), 0);
  if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) return drop(connection);
  if (count < 0) return;
  tally_.onBytes(static_cast<size_t>(count));
  connection.session.onBytes({read_buffer_.data(), static_cast<size_t>(count)});
  if (connection.session.output().empty()) acknowledgeNow(connection.socket);
  advance(connection);
}

// Sends what there is, and does what the session wants next.
void SinkServer::advance(Connection& connection) {
  if (!send(connection)) return drop(connection);
  if (connection.wants_write) return;
  if (const auto delay = connection.session.waiting()) {
    if (connection.timed) return;
    connection.timed = true;
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(*delay).count();
    waits_.push({steadyNs() + static_cast<uint64_t>(ns), connection.tag});
    return;
  }
  switch (connection.session.end()) {
    case SinkSession::End::Open:
      return;
    case SinkSession::End::Reset:
      resetOnClose(connection.socket);
      [[fallthrough]];
    case SinkSession::End::Close:
      return drop(connection);
  }
}

// False: the connection is gone.
bool SinkServer::send(Connection& connection) {
  std::string& output = connection.session.output();
  while (connection.sent < output.size()) {
    const ssize_t count = ::send(connection.socket.get(), output.data() + connection.sent,
                                 output.size() - connection.sent, MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN && errno != EINTR) return false;
    if (count < 0) break;
    connection.sent += static_cast<size_t>(count);
  }
  const bool all = connection.sent == output.size();
  if (all) {
    output.clear();
    connection.sent = 0;
  }
  connection.wants_write = !all;
  watch(connection);
  return true;
}

void SinkServer::watch(Connection& connection) {
  const bool reading =
      !connection.session.waiting() || connection.session.buffered() < kMaxBufferedBytes;
  const uint32_t events =
      (reading ? uint32_t{EPOLLIN} : 0u) | (connection.wants_write ? uint32_t{EPOLLOUT} : 0u);
  if (events == connection.watched) return;
  connection.watched = events;
  poller_->modify(connection.socket, events, connection.tag);
}

void SinkServer::drop(Connection& connection) {
  const size_t slot = connection.tag & 0xffffffffu;
  tally_.onDisconnect();
  connections_[slot].reset();
  free_slots_.push_back(slot);
}

void SinkServer::resumeDue() {
  if (waits_.empty()) return;
  const uint64_t now = steadyNs();
  while (!waits_.empty() && waits_.top().due_ns <= now) {
    const uint64_t tag = waits_.top().tag;
    waits_.pop();
    if (Connection* connection = find(tag)) {
      connection->timed = false;
      connection->session.onResume();
      advance(*connection);
    }
  }
}

int SinkServer::timeoutMs() const {
  if (waits_.empty()) return kIdleMs;
  const uint64_t now = steadyNs();
  const uint64_t due = waits_.top().due_ns;
  if (due <= now) return 0;
  return static_cast<int>(std::min<uint64_t>((due - now + 999'999) / 1'000'000, kIdleMs));
}

void SinkServer::housekeeping(bool last) {
  const uint64_t now = steadyNs();
  if (last || now - flushed_ns_ >= kFlushEveryNs) {
    flushed_ns_ = now;
    (void)recorder_->flush();
  }
  if (options_.stats_file.empty() || (!last && now - stats_ns_ < kStatsEveryNs)) return;
  stats_ns_ = now;
  const std::string beside = options_.stats_file + ".tmp";
  std::ofstream(beside) << tally_.toJson().dump() << '\n';
  std::rename(beside.c_str(), options_.stats_file.c_str());
}

}  // namespace sluice::relay
