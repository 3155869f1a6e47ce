// How does a question get to a name server and its answer back? c-ares on the loop.
#include "net/dns/dns_transport.h"

#include <algorithm>

#include "net/tls/crypto.h"

namespace sluice::net {
namespace {

using std::chrono::milliseconds;

// Once in the life of the process; it is thread-safe as a static is, and never undone.
int initLibrary() {
  static const int status = ares_library_init(ARES_LIB_INIT_ALL);
  return status;
}

// c-ares reads no files and starts no searches if all of these are set.
Result<ares_channel> openChannel(milliseconds timeout, ares_sock_state_cb on_socket, void* data) {
  static char lookups[] = "b";  // DNS only; the library copies it
  ares_options options{};
  options.timeout = static_cast<int>(timeout.count());
  options.tries = 1;  // of each server: DnsTransport itself begins anew, with another id and port
  options.ndots = 1;
  options.lookups = lookups;
  options.sock_state_cb = on_socket;
  options.sock_state_cb_data = data;
  ares_channel channel = nullptr;
  const int status = ares_init_options(
      &channel, &options,
      ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS | ARES_OPT_LOOKUPS |
          ARES_OPT_DOMAINS | ARES_OPT_SORTLIST | ARES_OPT_SERVERS | ARES_OPT_SOCK_STATE_CB);
  if (status != ARES_SUCCESS)
    return fail(Errc::Io, std::string("c-ares: ") + ares_strerror(status));
  return channel;
}

// c-ares says ECONNREFUSED when servers answer SERVFAIL, NOTIMP or REFUSED, too. All of them had
// their turn then, and recursive servers remember a failure for some seconds: asking at once again
// would only add load.
bool worthAnotherAttempt(int status) { return status == ARES_ETIMEOUT; }

}  // namespace

// As c-ares reads it.
Result<std::vector<Endpoint>> systemNameServers() {
  ares_channel channel = nullptr;
  if (const int status = ares_init(&channel); status != ARES_SUCCESS) {
    return fail(Errc::Io, std::string("resolv.conf: ") + ares_strerror(status));
  }
  const std::unique_ptr<std::remove_pointer_t<ares_channel>, decltype(&ares_destroy)> closer(
      channel, &ares_destroy);
  ares_addr_port_node* nodes = nullptr;
  if (const int status = ares_get_servers_ports(channel, &nodes); status != ARES_SUCCESS) {
    return fail(Errc::Io, std::string("resolv.conf: ") + ares_strerror(status));
  }
  std::vector<Endpoint> servers;
  for (const auto* node = nodes; node != nullptr; node = node->next) {
    std::array<uint8_t, 16> bytes{};
    std::copy_n(reinterpret_cast<const uint8_t*>(&node->addr), node->family == AF_INET ? 4 : 16,
                bytes.begin());
    const IpAddress address = node->family == AF_INET
                                  ? IpAddress::v4({bytes[0], bytes[1], bytes[2], bytes[3]})
                                  : IpAddress::v6(bytes);
    const auto port = static_cast<uint16_t>(node->udp_port);
    servers.push_back({address, port != 0 ? port : uint16_t{53}});
  }
  ares_free_data(nodes);
  return servers;
}

struct DnsTransport::Question {
  std::string name;
  DnsType type;
  Done done;
  int attempts_left;
  SteadyTime give_up;
  Deadline deadline;     // armed while c-ares has it
  Sent* sent = nullptr;  // while c-ares has it
  int status = ARES_SUCCESS;
  std::string message;
  std::list<std::unique_ptr<Question>>::iterator self;
};

// What c-ares gives back to us; it lives until c-ares calls, which it always does.
struct DnsTransport::Sent {
  Channel* channel;
  Question* question;  // nullptr if it was given up
};

struct DnsTransport::Socket {
  Channel* channel;
  ares_socket_t fd;
  UvHandle<uv_poll_t> poll;
};

struct DnsTransport::Channel {
  DnsTransport& owner;
  ares_channel ares = nullptr;
  std::vector<std::unique_ptr<Socket>> sockets;
  Deadline timer;
  int asked = 0;  // since it was idle
  int open = 0;
  bool stale = false;  // made for servers of the past

  explicit Channel(DnsTransport& transport) : owner(transport), timer([this] { onTimer(); }) {}
  ~Channel() {
    if (ares != nullptr) ares_destroy(ares);  // calls back for all that is open
  }

  void onSocketState(ares_socket_t fd, bool readable, bool writable);
  void process(ares_socket_t readable, ares_socket_t writable);
  void onTimer() { process(ARES_SOCKET_BAD, ARES_SOCKET_BAD); }
  void armTimer();
  static void onPoll(uv_poll_t* poll, int status, int events);
  static void onAnswer(void* sent, int status, int timeouts, unsigned char* message, int bytes);
};

// c-ares opened a socket, wants to hear other things of it, or (neither) is about to close it.
void DnsTransport::Channel::onSocketState(ares_socket_t fd, bool readable, bool writable) {
  const auto known = std::find_if(sockets.begin(), sockets.end(),
                                  [fd](const auto& socket) { return socket->fd == fd; });
  if (!readable && !writable) {
    if (known != sockets.end()) sockets.erase(known);
    return;
  }
  Socket* socket = known != sockets.end() ? known->get() : nullptr;
  if (socket == nullptr) {
    auto poll = std::make_unique<uv_poll_t>();
    if (uv_poll_init_socket(owner.loop_.raw(), poll.get(), fd) != 0) return;  // it will time out
    sockets.push_back(
        std::make_unique<Socket>(Socket{this, fd, UvHandle<uv_poll_t>(poll.release())}));
    socket = sockets.back().get();
    socket->poll->data = socket;
  }
  uv_poll_start(socket->poll.get(), (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0),
                &Channel::onPoll);
}

void DnsTransport::Channel::onPoll(uv_poll_t* poll, int status, int events) {
  if (poll->data == nullptr) return;
  const auto* socket = static_cast<Socket*>(poll->data);
  const ares_socket_t fd = socket->fd;
  if (status < 0) events = UV_READABLE | UV_WRITABLE;  // c-ares finds the error itself
  socket->channel->process((events & UV_READABLE) != 0 ? fd : ARES_SOCKET_BAD,
                           (events & UV_WRITABLE) != 0 ? fd : ARES_SOCKET_BAD);
}

void DnsTransport::Channel::process(ares_socket_t readable, ares_socket_t writable) {
  ares_process_fd(ares, readable, writable);
  armTimer();
}

void DnsTransport::Channel::armTimer() {
  timeval buffer{};
  const timeval* wait = ares_timeout(ares, nullptr, &buffer);
  if (wait == nullptr) return timer.cancel();
  timer.arm(owner.loop_.deadlines(),
            std::chrono::seconds(wait->tv_sec) + std::chrono::microseconds(wait->tv_usec));
}

void DnsTransport::Channel::onAnswer(void* argument, int status, int /*timeouts*/,
                                     unsigned char* message, int bytes) {
  const std::unique_ptr<Sent> sent(static_cast<Sent*>(argument));
  Channel& channel = *sent->channel;
  if (--channel.open == 0) channel.asked = 0;  // its sockets close: it may have new ports
  if (sent->question == nullptr) return;
  sent->question->sent = nullptr;
  const std::string_view view(reinterpret_cast<const char*>(message),
                              message != nullptr ? static_cast<size_t>(bytes) : 0);
  channel.owner.onAnswer(*sent->question, status, view);
}

Result<std::unique_ptr<DnsTransport>> DnsTransport::create(Loop& loop,
                                                           const ResolverOptions& options) {
  if (const int status = initLibrary(); status != ARES_SUCCESS) {
    return fail(Errc::Io, std::string("c-ares: ") + ares_strerror(status));
  }
  std::unique_ptr<DnsTransport> transport(new DnsTransport(loop, options));
  RETURN_IF_ERROR(transport->readServers());
  if (transport->pickChannel() == nullptr) return fail(Errc::Io, "c-ares takes no name servers");
  return transport;
}

DnsTransport::DnsTransport(Loop& loop, const ResolverOptions& options)
    : loop_(loop),
      configured_servers_(options.servers),
      timeout_(std::max(options.timeout, milliseconds(1))),
      attempts_(std::max(options.attempts, 1)),
      want_ad_(options.trust_ad),
      self_(std::make_shared<DnsTransport*>(this)) {}

Result<void> DnsTransport::readServers() {
  std::vector<Endpoint> servers = configured_servers_;
  if (servers.empty()) {
    ASSIGN_OR_RETURN(servers, systemNameServers());
  }
  std::string list;
  for (const Endpoint& server : servers) list += (list.empty() ? "" : ",") + server.toString();
  longest_ = timeout_ * attempts_ * std::max<size_t>(servers.size(), 1);
  if (list == servers_) return {};
  servers_ = std::move(list);
  for (const auto& channel : channels_) channel->stale = true;
  return {};
}

DnsTransport::~DnsTransport() {
  for (const auto& question : questions_) {
    if (question->sent != nullptr) question->sent->question = nullptr;
  }
}

void DnsTransport::ask(std::string_view name, DnsType type, Done done) {
  questions_.push_front(std::make_unique<Question>());
  Question& question = *questions_.front();
  question.self = questions_.begin();
  question.name = name;
  question.type = type;
  question.done = std::move(done);
  question.attempts_left = attempts_;
  question.deadline.onDue([this, &question] {
    finish(question, fail(Errc::Timeout, "no answer from the name servers in time"));
  });
  question.give_up = loop_.now() + std::chrono::duration_cast<SteadyTime::duration>(longest_);
  if (questions_.size() > kMaxQuestions) return onAnswer(question, ARES_ENOMEM, {});
  send(question);
}

// A channel with room for a question to ask from a fresh port, else the next in turn.
DnsTransport::Channel* DnsTransport::pickChannel() {
  for (size_t i = channels_.size(); i-- > 0;) {
    // The latest are the likeliest; a long search would cost more than a channel.
    if (channels_[i]->asked < kQuestionsPerTurn && !channels_[i]->stale) return channels_[i].get();
    if (channels_.size() - i >= kMaxIdleChannels && channels_.size() < kMaxChannels) break;
  }
  if (channels_.size() >= kMaxChannels) {
    next_shared_ = (next_shared_ + 1) % channels_.size();
    return channels_[next_shared_].get();
  }
  auto channel = std::make_unique<Channel>(*this);
  auto opened = openChannel(
      timeout_,
      [](void* data, ares_socket_t fd, int readable, int writable) {
        static_cast<Channel*>(data)->onSocketState(fd, readable != 0, writable != 0);
      },
      channel.get());
  if (!opened) return nullptr;
  channel->ares = *opened;
  if (ares_set_servers_ports_csv(channel->ares, servers_.c_str()) != ARES_SUCCESS) return nullptr;
  channels_.push_back(std::move(channel));
  return channels_.back().get();
}

void DnsTransport::send(Question& question) {
  const auto query = encodeQuery(question.name, question.type, randomUint16(), want_ad_);
  if (!query) return onAnswer(question, ARES_EBADNAME, {});
  Channel* channel = pickChannel();
  if (channel == nullptr) return onAnswer(question, ARES_ENOMEM, {});
  ++channel->asked;
  ++channel->open;
  --question.attempts_left;
  question.sent = new Sent{channel, &question};
  question.deadline.arm(loop_.deadlines(), question.give_up - loop_.now());
  ares_send(channel->ares, reinterpret_cast<const unsigned char*>(query->data()),
            static_cast<int>(query->size()), &Channel::onAnswer, question.sent);
  channel->armTimer();
}

// Comes from within c-ares: what follows waits until that has returned.
void DnsTransport::onAnswer(Question& question, int status, std::string_view message) {
  question.deadline.cancel();
  question.status = status;
  question.message = message;
  answered_.push_back(&question);
  scheduleSettling();
}

void DnsTransport::scheduleSettling() {
  if (std::exchange(settling_, true)) return;
  loop_.defer([weak = std::weak_ptr<DnsTransport*>(self_)] {
    if (const auto self = weak.lock()) (*self)->settle();
  });
}

void DnsTransport::settle() {
  settling_ = false;
  std::vector<Question*> answered;
  answered.swap(answered_);
  for (Question* question : answered) settleOne(*question);
  size_t idle = 0;
  std::erase_if(channels_, [&idle](const auto& channel) {
    return channel->open == 0 && (channel->stale || ++idle > kMaxIdleChannels);
  });
}

void DnsTransport::settleOne(Question& question) {
  const int status = question.status;
  if (status == ARES_SUCCESS) return finish(question, std::move(question.message));
  if (worthAnotherAttempt(status) && question.attempts_left > 0 && loop_.now() < question.give_up) {
    return send(question);
  }
  if (status == ARES_ENOMEM)
    return finish(question, fail(Errc::Busy, "too many DNS questions open"));
  if (status == ARES_EBADNAME)
    return finish(question, fail(Errc::InvalidArgument, "not a DNS name"));
  if (worthAnotherAttempt(status)) {
    return finish(question, fail(Errc::Timeout, "no answer from the name servers in time"));
  }
  finish(question, fail(Errc::DnsFailed, "the name servers fail, refuse, or are not there"));
}

void DnsTransport::finish(Question& question, Result<std::string> result) {
  if (question.sent != nullptr) question.sent->question = nullptr;
  Done done = std::move(question.done);
  questions_.erase(question.self);
  done(std::move(result));
}

}  // namespace sluice::net
