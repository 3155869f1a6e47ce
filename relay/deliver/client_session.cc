#include "relay/deliver/client_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <utility>

#include "net/smtp/path.h"
#include "relay/deliver/configuration_fault.h"

namespace sluice::relay {
namespace {

constexpr size_t kMaxAddressesTried = 10;                  // by one session, over all hosts
constexpr std::chrono::seconds kDataReplyTimeout{120};     // RFC 5321 section 4.5.3.2.4
constexpr std::chrono::seconds kContentBlockTimeout{180};  // RFC 5321 section 4.5.3.2.5
constexpr std::chrono::seconds kQuitTimeout{2};            // nothing depends on its reply
constexpr std::chrono::milliseconds kLongPath{5};          // nearer ones answer before it matters
constexpr size_t kSmallPieceBytes = 512;
constexpr int kMaxUnfitInARow = 64;  // then let the loop breathe

// How telling an error is when several hosts failed: a temporary one says "try again" and wins.
int weight(Errc code) {
  switch (code) {
    case Errc::AddressRefused:
      return 0;
    case Errc::LoopsToUs:
    case Errc::Unsupported:
      return 1;
    default:
      return 2;
  }
}

std::optional<IpAddress> pickSource(const std::vector<IpAddress>& sources, const IpAddress& to) {
  std::vector<IpAddress> fitting;
  for (const IpAddress& source : sources) {
    if (source.isV4() == to.isV4()) fitting.push_back(source);
  }
  if (fitting.empty()) return std::nullopt;
  static thread_local std::minstd_rand generator{std::random_device{}()};
  return fitting[generator() % fitting.size()];
}

}  // namespace

ClientSession::ClientSession(DeliveryContext& context, std::shared_ptr<const HopSet> hops,
                             Owner& owner)
    : context_(context), hops_(std::move(hops)), owner_(owner), hosts_(hops_->order()) {
  deadline_.onDue([this] { onDeadline(); });
}

ClientSession::~ClientSession() = default;

void ClientSession::start() { nextHost(); }

// "mx.example.net [192.0.2.1:25]"; the address alone for a host without a name.
std::string ClientSession::who() const {
  const bool named = host_.name != endpoint_.address.toString();
  return fmt::format("{}{}[{}]", named ? host_.name : "", named ? " " : "", endpoint_.toString());
}

bool ClientSession::waitsLong() const {
  return state_ == State::Open && !deliveries_.empty() &&
         context_.loop.now() - deliveries_.front()->started >= kLongPath;
}

void ClientSession::noteFailure(Error why) {
  if (!failure_ || weight(why.code) >= weight(failure_->code)) failure_ = std::move(why);
}

void ClientSession::nextHost() {
  if (next_host_ == hosts_.size() || addresses_tried_ >= kMaxAddressesTried) {
    return end(failure_.value_or(Error{Errc::Unreachable, "no host to try"}));
  }
  host_ = hosts_[next_host_++];
  next_address_ = 0;
  dane_.reset();
  tlsa_lines_.clear();
  if (!host_.literal.empty()) {
    addresses_ = host_.literal;
    return nextAddress();
  }
  state_ = State::Resolving;
  // The answer may come from within the call, and ask for the next host's addresses in turn.
  const size_t turn = next_host_;
  const auto done = [this](Result<net::AddressAnswer> answer) { onAddresses(std::move(answer)); };
  auto lookup = hops_->connector->route == Route::SmartHost
                    ? context_.resolver.smartHostAddresses(host_.name, done)
                    : context_.resolver.addresses(host_.name, done);
  if (turn == next_host_) lookup_ = std::move(lookup);
}

void ClientSession::onAddresses(Result<net::AddressAnswer> answer) {
  if (!answer) {
    // An MX or smart host without an address is their mistake, not the message's: temporary.
    noteFailure({Errc::DnsFailed, host_.name + ": " + answer.error().detail});
    return nextHost();
  }
  addresses_ = std::move(answer->addresses);
  if (!mayHaveTlsa(*answer)) return nextAddress();
  std::vector<std::string> bases{host_.name};
  if (!answer->canonical.empty()) bases.push_back(std::move(answer->canonical));
  askForTlsa(std::move(bases));
}

bool ClientSession::isOwnListener(const Endpoint& to) const {
  static const IpAddress any4;
  for (const Endpoint& own : context_.own_listeners) {
    if (own.port != to.port) continue;
    const bool wildcard = own.address == any4 || own.address == IpAddress::v6({});
    if (own.address == to.address || (wildcard && to.address.isLoopback())) return true;
  }
  return false;
}

bool ClientSession::mayConnect(const Endpoint& to) {
  if (isOwnListener(to)) {
    noteFailure({Errc::LoopsToUs, to.toString() + " is this relay's own listener"});
    return false;
  }
  const SendConfig& connector = *hops_->connector;
  if (connector.route == Route::Mx && to.address.isPrivate()) {
    const auto& allowed = connector.allow_private_hosts;
    if (std::none_of(allowed.begin(), allowed.end(),
                     [&](const IpNetwork& network) { return network.contains(to.address); })) {
      noteFailure({Errc::AddressRefused,
                   fmt::format("{} leads to {}, which is no public address (allow_private_hosts)",
                               host_.name, to.address.toString())});
      return false;
    }
  }
  const SteadyTime rests_until = context_.health.restsUntil(to);
  if (rests_until > context_.loop.now()) {
    noteFailure({Errc::Unreachable, to.toString() + " rests after a failure"});
    return false;
  }
  return true;
}

void ClientSession::nextAddress() {
  if (!mayUseHost()) return nextHost();
  while (next_address_ < addresses_.size() && addresses_tried_ < kMaxAddressesTried) {
    endpoint_ = {addresses_[next_address_++], host_.port};
    if (!mayConnect(endpoint_)) continue;
    ++addresses_tried_;
    return connect();
  }
  nextHost();
}

void ClientSession::connect() {
  state_ = State::Connecting;
  connector_ = std::make_unique<net::TcpConnector>(
      context_.loop, endpoint_, pickSource(hops_->connector->source_addresses, endpoint_.address),
      hops_->limits.connect_timeout,
      [this](Result<std::unique_ptr<net::TcpStream>> stream) { onConnected(std::move(stream)); });
}

void ClientSession::onConnected(Result<std::unique_ptr<net::TcpStream>> stream) {
  if (!stream) {
    return hostFailed(
        {stream.error().code, fmt::format("connect to {}: {}", who(), stream.error().detail)});
  }
  stream_ = std::move(*stream);
  stream_->setHandler(this);
  beginProtocol();
  if (demand_.when == TlsDemand::When::FromTheStart) return secure();
  state_ = State::Greeting;
  watched_ = 0;
  watch();
}

// This address will not do: hold it against the host, go on to the next.
void ClientSession::hostFailed(Error why) {
  // What the host lacks for one policy is no fault in the eyes of another.
  const bool of_policy = why.code == Errc::TlsFailed || why.code == Errc::TlsMissing;
  if (of_policy) noteTlsFailure(why);
  if (of_policy) onPolicyBroken(why);
  if (why.code != Errc::LoopsToUs && why.code != Errc::Unsupported && !of_policy &&
      !again_with_token_) {
    context_.health.failed(endpoint_, context_.loop.now(), hops_->limits.host_backoff,
                           context_.config->queue.retry_first);
  }
  noteFailure(std::move(why));
  deadline_.cancel();
  if (stream_) stream_->close();
  // Later: the stream and the protocol may be calling us.
  context_.loop.defer([this, alive = std::weak_ptr<char>(alive_)] {
    if (alive.expired() || state_ == State::Ended) return;
    tls_ = nullptr;
    auth_.reset();
    stream_.reset();
    protocol_.reset();
    connector_.reset();
    bytes_queued_ = 0;
    const bool again = again_in_clear_ || again_with_token_;
    again_in_clear_ = again_with_token_ = false;
    again ? connect() : nextAddress();
  });
}

bool ClientSession::isOwnName(std::string_view name) const {
  return hops_->connector->route == Route::Mx &&
         smtp::equalsIgnoringCase(name, context_.config->hostname);
}

void ClientSession::onRead(std::string_view bytes) {
  protocol_->onBytes(bytes);
  afterActivity();
}

void ClientSession::onEnd(const Error& why) {
  if (state_ == State::Ended) return;
  if (state_ == State::Securing) return onTlsFailed(why);
  // Leaving is a server's right while nothing is under way.
  if (state_ == State::Quitting || idle()) return end(std::nullopt);
  fail(why);
}

void ClientSession::onDrained() {
  protocol_->pump();
  afterActivity();
}

void ClientSession::send(std::string_view bytes) {
  bytes_queued_ += bytes.size();
  stream_->write(bytes);
}

void ClientSession::send(Slice slice) {
  // Content of many dots comes in tiny pieces: copied together they cost one buffer, not many.
  if (slice.bytes.size() < kSmallPieceBytes) return send(slice.bytes);
  bytes_queued_ += slice.bytes.size();
  stream_->write(std::move(slice));
}

size_t ClientSession::unsentBytes() const { return stream_->unsentBytes(); }

void ClientSession::onOpen(const smtp::ServerOffer& offer) {
  if (isOwnName(offer.name) || isOwnName(protocol_->greetingName())) {
    break_ = Error{Errc::LoopsToUs, host_.name + " greets us with our own name"};
    return;
  }
  context_.health.reached(endpoint_);
  if (hops_->wish == TlsWish::Required && !offer.require_tls) {
    break_ =
        Error{Errc::Unsupported, who() + " does not offer REQUIRETLS, which the message demands"};
    return;
  }
  using Extension = HostQuirks::Extension;
  plain_ = context_.quirks.lacks(endpoint_, Extension::Pipelining, context_.loop.now());
  if (plain_) protocol_->avoidPipelining();
  if (plain_ || context_.quirks.lacks(endpoint_, Extension::Chunking, context_.loop.now())) {
    protocol_->avoidChunking();
  }
  if (!tls_ && demand_.when != TlsDemand::When::Never) {
    noteTls(TlsResult::Type::StartTlsNotSupported);
  }
  state_ = State::Open;
  was_open_ = true;
  owner_.onSessionOpen(*this);
}

void ClientSession::onRefused(smtp::Expect stage, const smtp::Reply& reply) {
  std::string said = reply.toString();
  if (const auto advice = configurationFault(reply); !advice.empty()) {
    said += fmt::format(" ({} {})", kConfigurationFault, advice);
  }
  if (stage == smtp::Expect::Auth && mayTryNewToken(reply)) again_with_token_ = true;
  break_ = stage == smtp::Expect::Auth
               ? authFailure(said)
               : Error{Errc::Refused, fmt::format("{} refuses: {}", who(), said)};
}

smtp::ClientTransaction* ClientSession::nextTransaction() {
  if (break_) return nullptr;
  const auto& limits = hops_->limits;
  const auto& offer = protocol_->offer();
  size_t most = static_cast<size_t>(limits.max_messages_per_connection);
  if (offer.mail_max) most = std::min<size_t>(most, *offer.mail_max);
  if (served_ >= most) return nullptr;
  size_t recipients = static_cast<size_t>(limits.max_recipients_per_transaction);
  if (offer.rcpt_max) recipients = std::min<size_t>(recipients, *offer.rcpt_max);
  for (int i = 0; i < kMaxUnfitInARow; ++i) {
    std::unique_ptr<Delivery> delivery = owner_.nextDelivery(*this, recipients);
    if (!delivery) return nullptr;
    if (const auto verdict = judgeOffer(*delivery, offer)) {
      owner_.onUnfit(*this, std::move(delivery), *verdict);
      continue;
    }
    ++served_;
    deliveries_.push_back(std::move(delivery));
    return deliveries_.back().get();
  }
  return nullptr;
}

void ClientSession::onDone(smtp::ClientTransaction& transaction) {
  const auto found =
      std::find_if(deliveries_.begin(), deliveries_.end(),
                   [&](const auto& delivery) { return delivery.get() == &transaction; });
  std::unique_ptr<Delivery> delivery = std::move(*found);
  deliveries_.erase(found);
  ++answered_;
  // It promised what it does not know: plainly from now on, this message too.
  if (chunkingRefused(transaction)) {
    protocol_->avoidChunking();
    noteQuirk(HostQuirks::Extension::Chunking);
  }
  if (pipeliningRefused(transaction)) {
    protocol_->avoidPipelining();
    noteQuirk(HostQuirks::Extension::Pipelining);
  }
  owner_.onDone(*this, std::move(delivery));
}

void ClientSession::onBroken(const Error& why, const std::optional<smtp::Reply>& last_word) {
  goodbye_ = last_word && last_word->code == 421;
  break_ = Error{why.code, fmt::format("{}: {}", who(), why.detail)};
}

void ClientSession::onQuitDone() {}  // afterActivity() sees that nothing is owed

void ClientSession::onContentCame() {
  // On the next turn: what follows may end the delivery whose content is calling.
  context_.loop.defer([this, alive = std::weak_ptr<char>(alive_)] {
    if (!alive.expired() && protocol_) afterActivity();
  });
}

void ClientSession::pump() {
  if (state_ != State::Open) return;
  protocol_->pump();
  afterActivity();
}

// After every call into the protocol: send what it said, see what became of it.
void ClientSession::afterActivity() {
  if (state_ == State::Ended) return;
  if (break_) {
    const Error why = *std::exchange(break_, std::nullopt);
    stream_->flush();
    return was_open_ ? fail(why) : hostFailed(why);
  }
  if (state_ == State::Open && protocol_->awaited() == smtp::Expect::Quit) state_ = State::Quitting;
  if (state_ == State::Quitting && !protocol_->awaited()) return end(std::nullopt);
  if (state_ == State::Securing) return;  // the handshake has its own deadline
  stream_->flush();
  // What the kernel took at once makes room that no onDrained() tells of.
  while (protocol_->waitsForRoom() && stream_->unsentBytes() <= net::TcpStream::kLowWaterBytes) {
    protocol_->pump();
    if (break_) return afterActivity();
    stream_->flush();
  }
  if (state_ == State::Open && deliveries_.empty()) {
    const auto most = static_cast<size_t>(hops_->limits.max_messages_per_connection);
    if (served_ >= most ||
        (protocol_->offer().mail_max && served_ >= *protocol_->offer().mail_max)) {
      return quit();
    }
    if (!protocol_->awaited()) owner_.onSessionIdle(*this);
    if (state_ == State::Ended) return;
  }
  watch();
}

Duration ClientSession::patienceFor(smtp::Expect what) const {
  const auto& limits = hops_->limits;
  switch (what) {
    case smtp::Expect::Data:
      return std::min<Duration>(kDataReplyTimeout, limits.command_timeout);
    case smtp::Expect::Final:
      return limits.final_reply_timeout;
    case smtp::Expect::Quit:
      return std::min<Duration>(kQuitTimeout, limits.command_timeout);
    case smtp::Expect::Greeting:
    case smtp::Expect::Ehlo:
    case smtp::Expect::Helo:
    case smtp::Expect::StartTls:
    case smtp::Expect::Auth:
    case smtp::Expect::Mail:
    case smtp::Expect::Rcpt:
    case smtp::Expect::Rset:
      return limits.command_timeout;
  }
  return limits.command_timeout;
}

// Arms the one deadline for what is waited for now; bytes that trickle in do not put it off.
void ClientSession::watch() {
  const auto awaited = protocol_->awaited();
  const bool sending = protocol_->sendingContent() || stream_->unsentBytes() > 0;
  if (!awaited && !sending && deliveries_.empty() && state_ == State::Open) {
    if (watched_ != 1) deadline_.arm(context_.loop.deadlines(), hops_->limits.idle_timeout);
    watched_ = 1;
    return;
  }
  const uint64_t wait = protocol_->repliesTaken() * 64 + 32 + (sending ? 16 : 0) +
                        (awaited ? static_cast<uint64_t>(*awaited) : 15);
  if (wait == watched_) return;
  watched_ = wait;
  progress_seen_ = bytes_queued_ - stream_->unsentBytes();
  const Duration patience =
      sending ? std::min<Duration>(kContentBlockTimeout, hops_->limits.command_timeout)
              : patienceFor(awaited.value_or(smtp::Expect::Mail));
  deadline_.arm(context_.loop.deadlines(), patience);
}

void ClientSession::onDeadline() {
  if (state_ == State::Securing) {
    return onTlsFailed({Errc::Timeout, "no TLS handshake in time"});
  }
  if (state_ == State::Quitting) return end(std::nullopt);
  if (idle() && !protocol_->awaited()) return quit();
  const bool sending = protocol_->sendingContent() || stream_->unsentBytes() > 0;
  const bool was_sending = (watched_ & 16) != 0;
  if (was_sending && (!sending || progress_seen_ != bytes_queued_ - stream_->unsentBytes())) {
    watched_ = 0;
    return watch();
  }
  const Error why{Errc::Timeout, fmt::format("{}: no answer in time", who())};
  was_open_ ? fail(why) : hostFailed(why);
}

void ClientSession::quit() {
  if (state_ == State::Ended || state_ == State::Quitting) return;
  if (state_ != State::Open) return end(Error{Errc::Cancelled, "given up"});
  protocol_->quit();
  if (protocol_->awaited() == smtp::Expect::Quit) state_ = State::Quitting;
  stream_->flush();
  watch();
}

void ClientSession::abort(const Error& why) {
  if (state_ == State::Ended) return;
  end(why);
}

void ClientSession::fail(const Error& why) {
  if (!was_open_) return hostFailed(why);
  end(why);
}

void ClientSession::noteQuirk(HostQuirks::Extension extension) {
  context_.quirks.note(endpoint_, extension, context_.loop.now());
  const bool chunking = extension == HostQuirks::Extension::Chunking;
  context_.log.logLimited("extension_avoided " + host_.name,
                          {LogLevel::Warn,
                           "extension_avoided",
                           {{"mx", host_.name},
                            {"address", endpoint_.toString()},
                            {"extension", std::string(chunking ? "CHUNKING" : "PIPELINING")}}});
}

// An open connection failed: a box on the way that swallows or misanswers pipelined commands looks
// like that. The next one does without, and shows whether that was why.
void ClientSession::judgePipelining(const Error& failure) {
  if (failure.code == Errc::Cancelled) return;
  constexpr auto kPipelining = HostQuirks::Extension::Pipelining;
  if (protocol_->pipeliningInDoubt()) {
    noteQuirk(kPipelining);
  } else if (plain_ && answered_ == 0) {
    context_.quirks.forget(endpoint_, kPipelining);
  }
}

void ClientSession::end(const std::optional<Error>& failure) {
  if (state_ == State::Ended) return;
  state_ = State::Ended;
  deadline_.cancel();
  lookup_.reset();
  tlsa_lookup_.reset();
  if (failure && was_open_) judgePipelining(*failure);
  if (protocol_) protocol_->abandon();
  // A host that failed us is not waited for, whatever it still sends.
  if (stream_ && failure) stream_->close();
  if (stream_) stream_->finish();
  bool oldest = true;
  for (std::unique_ptr<Delivery>& delivery : std::exchange(deliveries_, {})) {
    const Break how{failure.value_or(Error{Errc::Closed, "connection closed"}), answered_ > 0,
                    oldest, goodbye_};
    oldest = false;
    owner_.onBroken(*this, std::move(delivery), how);
  }
  owner_.onEnd(*this, failure);
}

}  // namespace sluice::relay
