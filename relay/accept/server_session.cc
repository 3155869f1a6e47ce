// How a session goes: bytes in, policy at each command, content into the queue, replies out, and
// the one deadline that a slow client runs into.
#include "relay/accept/server_session.h"

#include <algorithm>

#include "net/smtp/path.h"
#include "net/tcp_stream.h"

namespace sluice::relay {
namespace {

using Phase = smtp::ServerProtocol::Phase;

// Input that waits for an answer of ours, when reading is paused.
constexpr size_t kMaxWaitingInputBytes = 4 * 1024;
// Content must come at this rate, after a time of grace in which a slow start is no matter.
constexpr uint64_t kMinBytesPerSecond = 1024;
constexpr milliseconds kContentGrace{180'000};  // RFC 5321 section 4.5.3.2.5: 3 minutes a block
constexpr std::chrono::seconds kLookAgain{1};   // whether a client is slow, after a wait of ours
constexpr size_t kMaxLoggedArgumentBytes = 512;
constexpr milliseconds kLongestErrorDelay{30'000};

constexpr smtp::ServerReply kTimeout{421, {4, 4, 2}, "Timeout, closing"};
constexpr smtp::ServerReply kShuttingDown{421, {4, 3, 2}, "Shutting down, try again later"};
constexpr smtp::ServerReply kRelayingDenied{550, {5, 7, 1}, "Relaying denied"};
constexpr smtp::ServerReply kNoConnector{550, {5, 4, 4}, "No connector for this domain"};
constexpr smtp::ServerReply kBadDomain{501, {5, 1, 3}, "Bad recipient address"};
constexpr smtp::ServerReply kNoRoom{452, {4, 3, 1}, "No room, try again later"};
constexpr smtp::ServerReply kNoStore{451, {4, 3, 0}, "Mail system not ready, try again later"};
constexpr smtp::ServerReply kNotStored{451, {4, 3, 0}, "Message could not be stored"};

const smtp::ServerReply& replyTo(Errc error, const smtp::ServerReply& otherwise) {
  return error == Errc::NoSpace ? kNoRoom : otherwise;
}

bool hasAsciiPaths(const queue::Envelope& envelope) {
  return smtp::isAscii(envelope.reverse_path) &&
         std::all_of(envelope.recipients.begin(), envelope.recipients.end(),
                     [](const queue::Recipient& recipient) {
                       return smtp::isAscii(recipient.forward_path) &&
                              smtp::isAscii(recipient.orcpt);
                     });
}

}  // namespace

ServerSession::ServerSession(AcceptContext& context,
                             std::shared_ptr<const ReceiveSettings> settings,
                             std::unique_ptr<net::Stream> stream, Owner& owner, bool client_known)
    : context_(context),
      settings_(std::move(settings)),
      stream_(std::move(stream)),
      owner_(owner),
      client_(stream_->peer()),
      client_known_(client_known),
      protocol_(settings_->protocol, *this),
      link_(std::make_shared<Link>(Link{this})),
      deadline_([this] { onDeadline(); }),
      held_back_([this] { afterInput(); }),
      waiting_since_(context.loop.now()),
      last_phase_(Phase::Command) {
  stream_->setHandler(this);
  if (client_known_ && containsAny(settings_->connector.xclient_networks, client_.address)) {
    protocol_.permitXClient();
  }
  if (settings_->implicit_tls) {
    startTls();
  } else {
    protocol_.greet();
  }
  afterInput();
}

ServerSession::~ServerSession() { link_->session = nullptr; }

// --- Bytes ---------------------------------------------------------------------------------------

void ServerSession::onRead(std::string_view bytes) {
  if (over_) return;
  if (protocol_.phase() == Phase::Content) content_bytes_in_ += bytes.size();
  feeding_ = true;
  protocol_.feed(bytes);
  feeding_ = false;
  afterInput();
}

// After anything that may have made output, taken input, or changed the phase.
void ServerSession::afterInput() {
  if (over_ || client_gone_ || !sendOutput()) return;
  if (held_back_.armed()) return noteProgress();  // what follows comes behind the replies
  if (client_finished_ && awaitsInput()) return finish();
  if (protocol_.phase() == Phase::Handshake && !handshaking_) startTls();
  const bool content = transaction_ && transaction_->incoming;
  if (content && protocol_.phase() == Phase::Content && transaction_->incoming->congested()) {
    setPaused(kCongested, true);
    transaction_->incoming->onRelieved([this] { onRelieved(); });
  }
  setPaused(kAnswering, protocol_.phase() == Phase::Answering &&
                            protocol_.bufferedBytes() >= kMaxWaitingInputBytes);
  noteProgress();
}

// One write for all replies to one piece of input. False when the session is over by it.
bool ServerSession::sendOutput() {
  while (true) {
    const bool more = protocol_.hasMore();
    if (holdsBack()) return true;
    if (!protocol_.output().empty()) {
      stream_->write(protocol_.output());
      protocol_.outputTaken();
      stream_->flush();
    }
    if (protocol_.phase() == Phase::Closing) {
      finish();
      return false;
    }
    // A client that does not read its replies is not read from either.
    const bool choked = stream_->unsentBytes() > net::TcpStream::kLowWaterBytes;
    setPaused(kOutput, choked);
    if (!more || choked) return true;
    protocol_.resume();
  }
}

// Who errs again and again waits for each further reply: guessing and probing become slow.
bool ServerSession::holdsBack() {
  const uint64_t errors = protocol_.errors();
  const auto patience = static_cast<uint64_t>(settings_->connector.max_errors) / 2;
  if (!held_back_.armed() && errors > std::max(errors_answered_, patience)) {
    const uint64_t times = errors - std::max(errors_answered_, patience);
    const milliseconds wait = std::min<milliseconds>(
        settings_->connector.error_delay * static_cast<int64_t>(times), kLongestErrorDelay);
    if (wait > milliseconds{}) {
      held_back_.arm(context_.loop.deadlines(), wait);
      context_.metrics.held_back.add();
    }
  }
  errors_answered_ = errors;  // a message that is accepted sets them back
  setPaused(kHeldBack, held_back_.armed());
  return held_back_.armed();
}

void ServerSession::onDrained() {
  if (over_) return;
  protocol_.resume();
  afterInput();
}

void ServerSession::onRelieved() {
  if (over_) return;
  setPaused(kCongested, false);
  afterInput();
}

void ServerSession::setPaused(Pause reason, bool paused) {
  const unsigned before = paused_;
  paused_ = paused ? paused_ | reason : paused_ & ~static_cast<unsigned>(reason);
  if ((before == 0) == (paused_ == 0)) return;
  const SteadyTime now = context_.loop.now();
  if (paused_ != 0) {
    paused_since_ = now;
    stream_->pauseReading();
  } else {
    // Our own pauses do not count against the client, but its not reading does.
    if (!(before & kOutput)) {
      waiting_since_ += now - paused_since_;
      content_since_ += now - paused_since_;
    }
    stream_->resumeReading();
  }
}

void ServerSession::onEnd(const Error& why) {
  if (over_) return;
  if (handshaking_) logTlsFailed(why.detail);
  client_gone_ = true;
  if (!committing()) finish();
}

// A client may close its side behind its last command and still wait for the replies.
bool ServerSession::onPeerFinished() {
  client_finished_ = true;
  afterInput();
  return true;
}

bool ServerSession::awaitsInput() const {
  return protocol_.phase() != Phase::Answering && !protocol_.owesReplies() && !protocol_.hasMore();
}

void ServerSession::drain() {
  if (over_) return;
  protocol_.drain();
  afterInput();
}

void ServerSession::cut() {
  if (over_) return;
  held_back_.cancel();
  protocol_.shutDown(kShuttingDown);
  afterInput();
}

void ServerSession::finish() {
  if (over_) return;
  over_ = true;
  deadline_.cancel();
  held_back_.cancel();
  transaction_.reset();
  if (client_gone_) {
    stream_->close();
  } else {
    stream_->finish();
  }
  owner_.onSessionOver(*this);
}

// --- Time ----------------------------------------------------------------------------------------

// A new wait begins when a command was taken, has begun, or content began or ended.
void ServerSession::noteProgress() {
  const Phase phase = protocol_.phase();
  const bool partial = protocol_.partialCommand();
  const bool progress = phase != last_phase_ || protocol_.commands() != commands_seen_ ||
                        (partial && !had_partial_command_);
  last_phase_ = phase;
  commands_seen_ = protocol_.commands();
  had_partial_command_ = partial;
  if (progress) {
    waiting_since_ = context_.loop.now();
    content_bytes_in_ = 0;
  }
  if (!deadline_.armed() || due() < armed_for_) armDeadline(due());
}

SteadyTime ServerSession::due() const {
  if (handshaking_) return handshake_due_;
  const ReceiveConfig& connector = settings_->connector;
  SteadyTime due = waiting_since_ + connector.command_timeout;
  if (protocol_.phase() == Phase::Content) {
    const milliseconds earned{content_bytes_in_ * 1000 / kMinBytesPerSecond};
    due = waiting_since_ + std::min(kContentGrace, connector.command_timeout) + earned;
  }
  // However many chunks it comes in.
  const bool content = transaction_ && transaction_->incoming;
  return content ? std::min(due, content_since_ + connector.data_timeout) : due;
}

void ServerSession::armDeadline(SteadyTime at) {
  armed_for_ = at;
  deadline_.arm(context_.loop.deadlines(), armed_for_ - context_.loop.now());
}

// Armed once and looked at when it fires: most waits are over long before.
void ServerSession::onDeadline() {
  if (handshaking_) return onTlsDue();
  const SteadyTime now = context_.loop.now();
  const bool ours = protocol_.phase() == Phase::Answering || protocol_.owesReplies() ||
                    (paused_ != 0 && !(paused_ & kOutput));
  if (ours) return armDeadline(now + kLookAgain);
  if (now < due()) return armDeadline(due());
  context_.metrics.timeouts.add();
  context_.log.logLimited("client_timeout",
                          {LogLevel::Info,
                           "client_timeout",
                           {{"connector", settings_->connector.name}, {"address", clientText()}}});
  protocol_.shutDown(kTimeout);
  afterInput();
}

// --- Commands ------------------------------------------------------------------------------------

void ServerSession::onHello(std::string_view name, bool) { hello_ = name; }

void ServerSession::onBareNewlineCommand() { context_.metrics.bare_newlines.add(); }

void ServerSession::onMail(const smtp::MailCommand& mail) {
  if (const auto room = context_.queue.mayAccept(mail.size.value_or(0)); !room) {
    const smtp::ServerReply& reply = replyTo(room.error().code, kNoStore);
    if (room.error().code == Errc::NoSpace) context_.metrics.shed_no_room.add();
    context_.metrics.countRefused(reply.status);
    context_.log.logLimited("refused_" + reply.status.toString(),
                            {LogLevel::Warn,
                             "not_accepting",
                             {{"connector", settings_->connector.name},
                              {"status", reply.status.toString()},
                              {"reply", room.error().detail}}});
    return protocol_.reply(reply);
  }
  transaction_ = std::make_unique<MailTransaction>(mail);
  if (const auto* refusal = refusesSender(mail.reverse_path.mailbox)) {
    logRefused(transaction_->senderText(), {}, *refusal);
    transaction_.reset();
    return protocol_.reply(*refusal);
  }
  protocol_.reply({250, {2, 1, 0}, "OK"});
}

void ServerSession::onRcpt(const smtp::RcptCommand& rcpt) {
  std::string_view mailbox = rcpt.forward_path.mailbox;
  if (rcpt.forward_path.bare()) {
    mailbox = settings_->postmaster;  // RFC 5321 section 4.5.1: from anyone
  } else if (!mayRelay(settings_->connector, relayClient()).allowed) {
    return refuseRcpt(rcpt, kRelayingDenied);
  }
  if (const auto* refusal = refusesRecipient()) return refuseRcpt(rcpt, *refusal);
  const auto added = transaction_->add(mailbox, rcpt, *context_.router);
  if (!added) {
    return refuseRcpt(rcpt, added.error().code == Errc::NotFound ? kNoConnector : kBadDomain);
  }
  protocol_.reply({250, {2, 1, 5}, "OK"});
}

void ServerSession::refuseRcpt(const smtp::RcptCommand& rcpt, const smtp::ServerReply& reply) {
  logRefused(transaction_->senderText(), std::string(rcpt.forward_path.mailbox), reply);
  protocol_.reply(reply);
}

void ServerSession::onRefused(smtp::Verb verb, std::string_view argument,
                              const smtp::ServerReply& reply) {
  argument = argument.substr(0, kMaxLoggedArgumentBytes);
  if (verb == smtp::Verb::Mail) return logRefused(std::string(argument), {}, reply);
  const std::string sender = transaction_ ? transaction_->senderText() : std::string();
  if (verb == smtp::Verb::Rcpt) return logRefused(sender, std::string(argument), reply);
  logRefused(sender, transaction_ ? transaction_->recipientsText() : std::string(), reply);
}

void ServerSession::logRefused(std::string sender, std::string recipient,
                               const smtp::ServerReply& reply) {
  context_.metrics.countRefused(reply.status);
  MessageEvent event;
  event.event = "refused";
  event.sender = std::move(sender);
  event.recipient = std::move(recipient);
  event.connector = settings_->connector.name;
  event.address = clientText();
  event.code = reply.code;
  event.status = reply.status.toString();
  event.reply = reply.text;
  context_.log.message(std::move(event));
}

void ServerSession::onTransactionEnd() { transaction_.reset(); }

// --- Content -------------------------------------------------------------------------------------

void ServerSession::onContentBegin() {
  content_since_ = context_.loop.now();
  transaction_->incoming = context_.queue.newIncoming(transaction_->declaredBytes());
  const std::string id = transaction_->incoming->id().toString();
  TraceInfo info;
  info.hello = hello_;
  info.extended = protocol_.extended();
  describeTls(info);
  info.authenticated = user() != nullptr;
  info.smtputf8 = transaction_->envelope().smtputf8;
  info.client = client_.address;
  info.client_name = client_name_;
  info.hostname = settings_->hostname;
  info.id = id;
  info.only_recipient = transaction_->onlyRecipient();
  info.at = context_.loop.wallNow();
  std::string received;
  received.reserve(512);
  appendReceived(received, info);
  transaction_->incoming->append(received);
  beginSigning();
  if (user() && !user()->authors.empty()) {
    transaction_->author_check = std::make_unique<AuthorCheck>(*user());
  }
}

void ServerSession::onContent(std::string_view clean) {
  if (transaction_->author_check) watchAuthor(clean);
  if (transaction_->incoming) appendContent(clean);
}

void ServerSession::onMessageId(std::string_view value) {
  if (transaction_->incoming) transaction_->message_id = value;
}

// Content that is body from its first line must not extend our Received field.
void ServerSession::onHeaderEnd(const smtp::ContentFindings& so_far) {
  if (!transaction_->incoming) return;
  std::string fields;
  if (settings_->connector.add_missing_headers) {
    if (so_far.ends_in_line) fields.append("\r\n");
    if (!so_far.has_date) {
      fields.append("Date: ").append(formatRfc5322(context_.loop.wallNow())).append("\r\n");
    }
    if (!so_far.has_message_id) {
      transaction_->message_id = "<" + transaction_->incoming->id().toString();
      transaction_->message_id.append("@").append(settings_->hostname).append(">");
      fields.append("Message-ID: ").append(transaction_->message_id).append("\r\n");
    }
  }
  if (so_far.starts_with_body) fields.append("\r\n");
  if (!fields.empty()) appendContent(fields);
}

void ServerSession::onContentDropped() {
  if (transaction_) transaction_->incoming.reset();
  setPaused(kCongested, false);
}

void ServerSession::onContentEnd(uint64_t ticket, const smtp::ContentFindings& findings) {
  if (findings.bare_newlines > 0) context_.metrics.bare_newlines.add();
  if (transaction_->author_check && refuseAuthor(ticket)) return;
  signThenCommit(ticket, findings);
}

void ServerSession::commit(uint64_t ticket, std::unique_ptr<MailTransaction> transaction,
                           const smtp::ContentFindings& findings) {
  queue::Envelope& envelope = transaction->envelope();
  if (findings.eight_bit) envelope.body = queue::BodyType::EightBitMime;
  // A message that says SMTPUTF8 and needs none of it passes hosts that do not know it: a body of
  // 8-bit text is 8BITMIME's business.
  if (envelope.smtputf8 && !findings.eight_bit_header && hasAsciiPaths(envelope)) {
    envelope.smtputf8 = false;
  }
  envelope.tls_optional = findings.tls_optional && !envelope.require_tls;  // RFC 8689 section 4.1
  envelope.receive_connector = settings_->connector.name;
  envelope.client = clientText();
  envelope.received_at = context_.loop.wallNow();
  envelope.content_bytes = envelope.front_fields.size() + transaction->incoming->size();

  MessageEvent event;
  event.event = "accepted";
  event.id = transaction->incoming->id().toString();
  event.sender = transaction->senderText();
  event.recipient = transaction->recipientsText();
  event.size = envelope.content_bytes;
  event.connector = envelope.receive_connector;
  event.address = envelope.client;
  if (tls_) event.tls = tls_->version();
  if (user()) event.user = user()->name;
  transaction->incoming->setOrigin({std::move(transaction->message_id), event.tls, event.user});

  ++commits_under_way_;
  std::vector<queue::Group> groups = transaction->takeGroups();
  context_.queue.commit(std::move(transaction->incoming), std::move(envelope), std::move(groups),
                        [link = link_, ticket, event = std::move(event),
                         quota = std::move(transaction->quota)](Result<void> result) mutable {
                          if (quota && result) quota->spend();
                          if (link->session)
                            link->session->onCommitted(ticket, result, std::move(event));
                        });
}

void ServerSession::onCommitted(uint64_t ticket, const Result<void>& result, MessageEvent event) {
  --commits_under_way_;
  if (!result && result.error().code == Errc::Cancelled) return onDoubt(std::move(event));
  smtp::ServerReply reply{250, {2, 0, 0}, {}};
  std::string text;
  if (result) {
    text = "Queued as " + event.id;
    reply.text = text;
    context_.metrics.messages.add();
    context_.metrics.bytes.add(event.size);
    if (client_gone_) context_.metrics.client_gone.add();
  } else {
    reply = replyTo(result.error().code, kNotStored);
    context_.metrics.countRefused(reply.status);
    event.event = "refused";
    event.reply = result.error().detail;
  }
  if (client_gone_) event.reply = "the client was gone before the reply " + event.reply;
  event.code = reply.code;
  event.status = reply.status.toString();
  context_.log.message(std::move(event));
  if (client_gone_) {
    if (!committing()) finish();
    return;
  }
  protocol_.replyToContent(ticket, reply);
  if (!feeding_) afterInput();
}

// The disk hangs so that the message can neither be promised nor taken back. RFC 5321 section
// 4.5.3.2.6: a client that gets no reply counts on neither, and sends it again.
void ServerSession::onDoubt(MessageEvent event) {
  event.event = "unanswered";
  event.reply = "the disk does not say whether it is stored: closed without a reply";
  context_.log.message(std::move(event));
  client_gone_ = true;
  stream_->close();
  if (!committing()) finish();
}

}  // namespace sluice::relay
