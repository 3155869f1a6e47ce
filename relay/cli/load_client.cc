#include "relay/cli/load_client.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace sluice::relay {
namespace {

constexpr size_t kReadBytes = 64 * 1024;
constexpr uint64_t kSignalTag = ~uint64_t{0};
constexpr uint64_t kScanEveryNs = 1'000'000;       // for connections to open and messages due
constexpr uint64_t kQuitWithinNs = 1'000'000'000;  // nobody needs the reply to QUIT

uint64_t toNs(std::chrono::milliseconds span) {
  return static_cast<uint64_t>(std::chrono::nanoseconds(span).count());
}

}  // namespace

struct LoadClient::Connection {
  explicit Connection(size_t its_index) : index(its_index) {}
  size_t index;
  Descriptor socket;
  std::optional<LoadSession> session;  // none while there is no connection
  bool connecting = false;
  bool wants_write = false;
  bool has_message = false;
  Message message{};
  uint64_t begun_ns = 0;
  uint64_t rest_until_ns = 0;
  size_t messages = 0;
};

LoadClient::LoadClient(LoadOptions options, LoadMaker maker, LoadLedger ledger, Poller poller)
    : options_(std::move(options)),
      maker_(std::move(maker)),
      ledger_(std::move(ledger)),
      poller_(std::move(poller)),
      read_buffer_(kReadBytes) {}

LoadClient::~LoadClient() = default;

Result<std::unique_ptr<LoadClient>> LoadClient::create(LoadOptions options) {
  if (options.connections == 0) return fail(Errc::InvalidArgument, "at least one connection");
  if (options.messages == 0 && options.duration.count() == 0) {
    return fail(Errc::InvalidArgument, "a number of messages or a duration");
  }
  ASSIGN_OR_RETURN(LoadMaker maker, LoadMaker::create(options.message, Clock::system().wall()));
  ASSIGN_OR_RETURN(LoadLedger ledger, LoadLedger::create(options.ledger));
  ASSIGN_OR_RETURN(Poller poller, Poller::create());
  return std::unique_ptr<LoadClient>(
      new LoadClient(std::move(options), std::move(maker), std::move(ledger), std::move(poller)));
}

Result<void> LoadClient::run(bool signals) {
  Descriptor signal_fd;
  if (signals) {
    ASSIGN_OR_RETURN(signal_fd, stopSignals());
    RETURN_IF_ERROR(poller_.add(signal_fd, EPOLLIN, kSignalTag));
  }
  start_ns_ = progress_ns_ = steadyNs();
  end_ns_ = options_.duration.count() > 0 ? start_ns_ + toNs(options_.duration) : 0;
  for (size_t i = 0; i < options_.connections; ++i) {
    connections_.push_back(std::make_unique<Connection>(i));
  }
  uint64_t scanned_ns = 0;
  uint64_t exhausted_ns = 0;
  while (true) {
    const uint64_t now = steadyNs();
    if (now - scanned_ns >= kScanEveryNs) {
      scanned_ns = now;
      connectAll(now);
    }
    if (stopping_ || now - progress_ns_ > toNs(options_.give_up)) break;
    if (exhausted(now)) {
      if (exhausted_ns == 0) exhausted_ns = now;
      if (open_ == 0 || now - exhausted_ns > kQuitWithinNs) break;
    }
    for (const epoll_event& event : poller_.wait(timeoutMs(now))) {
      if (event.data.u64 == kSignalTag) {
        stopping_ = true;
      } else if (connections_[event.data.u64]->session) {
        onEvent(*connections_[event.data.u64], event.events);
      }
    }
  }
  finish(steadyNs());
  return {};
}

uint64_t LoadClient::dueAt(uint64_t number) const {
  return start_ns_ + static_cast<uint64_t>(static_cast<double>(number) / options_.rate * 1e9);
}

// Nothing is left to be begun, repeated or waited for.
bool LoadClient::exhausted(uint64_t now) const {
  const bool all = (options_.messages > 0 && begun_ >= options_.messages) ||
                   (end_ns_ > 0 && now >= end_ns_) || stopping_;
  return all && in_flight_ == 0 && again_.empty();
}

std::optional<LoadClient::Message> LoadClient::next(uint64_t now) {
  if (stopping_) return std::nullopt;
  if (!again_.empty() && again_.front().ready_ns <= now) {
    const Message message = again_.front();
    again_.pop_front();
    return message;
  }
  if (options_.messages > 0 && begun_ >= options_.messages) return std::nullopt;
  if (end_ns_ > 0 && now >= end_ns_) return std::nullopt;
  const uint64_t due = options_.rate > 0 ? dueAt(begun_) : now;
  if (due > now) return std::nullopt;
  return Message{options_.first + begun_++, due, 0};
}

int LoadClient::timeoutMs(uint64_t now) const {
  if (options_.rate <= 0) return 5;
  const uint64_t due = dueAt(begun_);
  return due <= now ? 1 : static_cast<int>(std::clamp<uint64_t>((due - now) / 1'000'000, 1, 5));
}

// Opens connections that are missed, and wakes those that wait for a message.
void LoadClient::connectAll(uint64_t now) {
  for (const auto& connection : connections_) {
    if (now < connection->rest_until_ns) continue;
    if (!connection->session) {
      if (!exhausted(now)) connect(*connection, now);
    } else if (connection->session->state() == LoadSession::State::Ready) {
      proceed(*connection, now);
      if (!send(*connection)) drop(*connection, now, false);
    }
  }
}

void LoadClient::connect(Connection& connection, uint64_t now) {
  auto socket = connectTo(options_.to);
  if (socket) {
    if (auto added = poller_.add(*socket, EPOLLIN | EPOLLOUT, connection.index); !added) {
      socket = tl::unexpected<Error>(added.error());
    }
  }
  if (!socket) {
    summary_.last_error = socket.error().detail;
    ++summary_.connection_errors;
    connection.rest_until_ns = now + toNs(options_.retry_after);
    return;
  }
  connection.socket = std::move(*socket);
  connection.session.emplace(options_.session, maker_);
  connection.connecting = true;
  connection.wants_write = true;
  connection.messages = 0;
  ++open_;
}

void LoadClient::onEvent(Connection& connection, uint32_t events) {
  if (connection.connecting) {
    if (const int error = connectError(connection.socket); error != 0) {
      summary_.last_error = "connect: " + std::string(std::strerror(error));
      return drop(connection, steadyNs(), false);
    }
    if ((events & EPOLLOUT) == 0) return;
    connection.connecting = false;
    ++summary_.connections;
  }
  const bool alive = (events & ~uint32_t{EPOLLOUT}) == 0 || receive(connection);
  const uint64_t now = steadyNs();
  // Replies that came with the end still count.
  settle(connection, now);
  if (!alive || connection.session->state() == LoadSession::State::Over || !send(connection)) {
    drop(connection, now, connection.session->leaving());
  }
}

bool LoadClient::receive(Connection& connection) {
  const ssize_t count =
      ::recv(connection.socket.get(), read_buffer_.data(), read_buffer_.size(), 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (count <= 0) {
    summary_.last_error = count == 0 ? "the server closed the connection" : std::strerror(errno);
    return false;
  }
  connection.session->onBytes({read_buffer_.data(), static_cast<size_t>(count)}, steadyNs());
  if (connection.session->firstPiece().empty() && connection.session->busy()) {
    acknowledgeNow(connection.socket);
  }
  return true;
}

// Does the accounts of a message that is decided, and begins the next.
void LoadClient::settle(Connection& connection, uint64_t now) {
  if (connection.has_message && !connection.session->busy()) account(connection, now);
  if (connection.session->state() == LoadSession::State::Ready) proceed(connection, now);
}

void LoadClient::account(Connection& connection, uint64_t now) {
  const LoadSession::Outcome& outcome = connection.session->outcome();
  if (outcome.code == 0) return;  // the session ended without a word: drop() judges
  ++summary_.replies[outcome.code];
  if (outcome.accepted()) {
    ++summary_.accepted;
    progress_ns_ = last_accept_ns_ = now;
    summary_.latency.add(
        now - std::min(now, options_.rate > 0 ? connection.message.due_ns : connection.begun_ns));
    summary_.commit.add(now - std::min(now, connection.session->contentSentNs()));
    note(connection, 'A', outcome.code);
  } else if (outcome.temporary() && options_.retry) {
    ++summary_.temporary_refusals;
    return retryLater(connection, now);
  } else {
    ++summary_.refused;
    progress_ns_ = now;
    note(connection, 'R', outcome.code);
  }
  ++connection.messages;
  connection.has_message = false;
  --in_flight_;
}

void LoadClient::retryLater(Connection& connection, uint64_t now) {
  const uint64_t ready = now + toNs(options_.retry_after);
  again_.push_back({connection.message.seq, connection.message.due_ns, ready});
  connection.rest_until_ns = ready;
  connection.has_message = false;
  --in_flight_;
}

void LoadClient::proceed(Connection& connection, uint64_t now) {
  if (now < connection.rest_until_ns) return;
  const bool worn = options_.messages_per_connection > 0 &&
                    connection.messages >= options_.messages_per_connection;
  if (worn || exhausted(now)) return connection.session->quit();
  if (auto message = next(now)) {
    connection.message = *message;
    connection.has_message = true;
    connection.begun_ns = now;
    ++in_flight_;
    connection.session->begin(message->seq, now);
  }
}

bool LoadClient::send(Connection& connection) {
  LoadSession& session = *connection.session;
  bool blocked = connection.connecting;
  while (!blocked) {
    const std::string_view first = session.firstPiece();
    const std::string_view second = session.secondPiece();
    if (first.empty() && second.empty()) break;
    iovec pieces[2] = {{const_cast<char*>(first.data()), first.size()},
                       {const_cast<char*>(second.data()), second.size()}};
    msghdr message{};
    message.msg_iov = pieces;
    message.msg_iovlen = 2;
    const ssize_t count = ::sendmsg(connection.socket.get(), &message, MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN && errno != EINTR) return false;
    blocked = count < 0;
    if (count < 0) break;
    summary_.bytes += static_cast<uint64_t>(count);
    session.onSent(static_cast<size_t>(count), steadyNs());
  }
  if (blocked != connection.wants_write) {
    connection.wants_write = blocked;
    poller_.modify(connection.socket, EPOLLIN | (blocked ? uint32_t{EPOLLOUT} : 0u),
                   connection.index);
  }
  return true;
}

void LoadClient::drop(Connection& connection, uint64_t now, bool orderly) {
  if (connection.has_message) {
    const bool refused = connection.session->outcome().code != 0 && !connection.session->busy();
    if (!refused && connection.session->contentSentNs() != 0) {
      ++summary_.unknown;
      progress_ns_ = now;
      note(connection, 'U', 0);
      connection.has_message = false;
      --in_flight_;
    } else {
      retryLater(connection, now);
    }
  }
  if (!orderly) ++summary_.connection_errors;
  connection.rest_until_ns = now + (orderly ? 0 : toNs(options_.retry_after));
  connection.session.reset();
  connection.socket.reset();
  --open_;
}

void LoadClient::note(const Connection& connection, char what, int code) {
  const std::vector<int>& codes = connection.session->recipientCodes();
  const uint64_t seq = connection.message.seq;
  const std::string id = ledger_.writing() ? maker_.id(seq) : std::string();
  for (size_t i = 0; i < codes.size(); ++i) {
    const bool taken = codes[i] / 100 == 2;
    // In a group, the fate of a recipient without a reply is open once all was sent.
    const char fate = taken || (what == 'U' && codes[i] == 0) ? what : 'R';
    if (fate == 'A') ++summary_.accepted_recipients;
    if (fate == 'R') ++summary_.refused_recipients;
    if (ledger_.writing()) {
      ledger_.note(fate, id, maker_.recipient(seq, i), taken || codes[i] == 0 ? code : codes[i]);
    }
  }
}

// Judges what is still under way.
void LoadClient::finish(uint64_t now) {
  for (const auto& connection : connections_) {
    if (connection->session) drop(*connection, now, true);
  }
  summary_.unsent = again_.size();
  if (options_.messages > begun_) summary_.unsent += options_.messages - begun_;
  const uint64_t end = last_accept_ns_ != 0 ? last_accept_ns_ : now;
  summary_.seconds = static_cast<double>(end - start_ns_) / 1e9;
  ledger_.flush();
}

nlohmann::json LoadSummary::toJson() const {
  nlohmann::json codes = nlohmann::json::object();
  for (const auto& [code, count] : replies) codes[std::to_string(code)] = count;
  return {{"accepted", accepted},
          {"refused", refused},
          {"unknown", unknown},
          {"unsent", unsent},
          {"accepted_recipients", accepted_recipients},
          {"refused_recipients", refused_recipients},
          {"temporary_refusals", temporary_refusals},
          {"connections", connections},
          {"connection_errors", connection_errors},
          {"last_error", last_error},
          {"bytes", bytes},
          {"seconds", seconds},
          {"messages_per_s", seconds > 0 ? static_cast<double>(accepted) / seconds : 0.0},
          {"latency", latency.toJson()},
          {"commit", commit.toJson()},
          {"replies", codes}};
}

}  // namespace sluice::relay
