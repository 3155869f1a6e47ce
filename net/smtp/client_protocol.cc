#include "net/smtp/client_protocol.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace sluice::smtp {
namespace {

// Replies that fit the command they answer; anything else is a broken server. 25x alone takes
// responsibility: 220 or 221 behind the final dot is no delivery.
bool fits(Expect what, const Reply& reply) {
  if (reply.transient() || reply.permanent()) return true;
  switch (what) {
    case Expect::Greeting:
    case Expect::StartTls:
      return reply.code == 220;
    case Expect::Auth:
      return reply.code == 334 || reply.code == 235;
    case Expect::Data:
      return reply.code == 354;
    case Expect::Quit:
      return reply.positive();
    case Expect::Ehlo:
    case Expect::Helo:
    case Expect::Mail:
    case Expect::Rcpt:
    case Expect::Final:
    case Expect::Rset:
      return reply.code >= 250 && reply.code <= 259;
  }
  return false;
}

std::string_view nameOf(Expect what) {
  switch (what) {
    case Expect::Greeting:
      return "the connection";
    case Expect::Ehlo:
      return "EHLO";
    case Expect::Helo:
      return "HELO";
    case Expect::StartTls:
      return "STARTTLS";
    case Expect::Auth:
      return "AUTH";
    case Expect::Mail:
      return "MAIL";
    case Expect::Rcpt:
      return "RCPT";
    case Expect::Data:
      return "DATA";
    case Expect::Final:
      return "the end of data";
    case Expect::Rset:
      return "RSET";
    case Expect::Quit:
      return "QUIT";
  }
  return "";
}

}  // namespace

ClientProtocol::ClientProtocol(ClientOptions options, Handler& handler)
    : options_(std::move(options)), handler_(handler) {
  owe(Expect::Greeting);
}

std::optional<Expect> ClientProtocol::awaited() const {
  if (owed_.empty()) return std::nullopt;
  return owed_.front().what;
}

bool ClientProtocol::sendingContent() const {
  return !transactions_.empty() &&
         transactions_.back()->sending == ClientTransaction::Sending::Content;
}

bool ClientProtocol::waitsForRoom() const {
  if (state_ != State::Open) return false;
  return waits_for_room_ || (sendingContent() && !transactions_.back()->chunk_wanted);
}

bool ClientProtocol::pipeliningInDoubt() const {
  const bool pipelined = out_of_step_ || (!owed_.empty() && owed_.back().behind);
  if (!pipelined || said_goodbye_) return false;
  if (!takes_groups_) return true;
  return !takes_more_ &&
         std::any_of(transactions_.begin(), transactions_.end(),
                     [](const ClientTransaction* one) { return one->began_behind; });
}

std::deque<ClientTransaction*> ClientProtocol::abandon() {
  state_ = State::Over;
  owed_.clear();
  return std::exchange(transactions_, {});
}

void ClientProtocol::owe(Expect what, ClientTransaction* transaction, size_t recipient) {
  const bool behind = !owed_.empty();
  owed_.push_back({what, transaction, recipient, behind});
  if (!transaction) return;
  ++transaction->owed;
  const bool known = takes_groups_ && (takes_more_ || !transaction->began_behind);
  if (behind && !known) transaction->sent_on_trust = true;
}

void ClientProtocol::breakOff(Errc code, std::string why, std::optional<Reply> last_word) {
  state_ = State::Over;
  handler_.onBroken(Error{code, std::move(why)}, last_word);
}

void ClientProtocol::onBytes(std::string_view bytes) {
  while (!bytes.empty() && state_ != State::Over) {
    const bool keep_all = !owed_.empty() && owed_.front().what == Expect::Ehlo;
    auto reply = parser_.feed(bytes, keep_all);
    if (!reply) return breakOff(reply.error().code, reply.error().detail);
    if (!*reply) return;
    onReply(std::move(**reply));
    if (state_ != State::Handshake) continue;
    // Sent in clear to be taken for something said under TLS: by whom, nobody can tell.
    if (!bytes.empty()) return breakOff(Errc::TlsFailed, "sent more behind its reply to STARTTLS");
    return handler_.onStartTls();
  }
  if (state_ != State::Over) pump();
}

void ClientProtocol::onReply(Reply reply) {
  ++replies_taken_;
  if (owed_.empty()) {  // RFC 5321 section 3.8: a 421 may come at any time
    return breakOff(reply.code == 421 ? Errc::Closed : Errc::Malformed,
                    "unasked for: " + reply.toString(), reply);
  }
  const Owed owed = owed_.front();
  owed_.pop_front();
  if (!fits(owed.what, reply)) {
    if (owed.transaction) --owed.transaction->owed;
    out_of_step_ = owed.behind || !owed_.empty();
    return breakOff(Errc::Malformed,
                    fmt::format("answered {} with: {}", nameOf(owed.what), reply.toString()),
                    reply);
  }
  switch (owed.what) {
    case Expect::Greeting:
      return onGreeting(reply);
    case Expect::Ehlo:
    case Expect::Helo:
      return onHello(owed.what, reply);
    case Expect::StartTls:
      return onStartTlsReply(reply);
    case Expect::Auth:
      return onAuthReply(reply);
    case Expect::Quit:
      state_ = State::Over;
      return handler_.onQuitDone();
    case Expect::Rset:
      if (!reply.positive()) breakOff(Errc::Closed, "RSET refused: " + reply.toString(), reply);
      return;
    case Expect::Mail:
    case Expect::Rcpt:
    case Expect::Data:
    case Expect::Final:
      return onTransactionReply(owed, std::move(reply));
  }
}

void ClientProtocol::onTransactionReply(const Owed& owed, Reply reply) {
  ClientTransaction& transaction = *owed.transaction;
  --transaction.owed;
  std::optional<Reply> goodbye;
  if (reply.code == 421) goodbye = reply;
  switch (owed.what) {
    case Expect::Mail:
      transaction.mail_reply = std::move(reply);
      break;
    case Expect::Rcpt:
      transaction.recipients[owed.recipient].reply = std::move(reply);
      break;
    case Expect::Data:
      transaction.data_reply = std::move(reply);
      if (!goodbye) onDataReply(transaction);
      break;
    case Expect::Final:
      transaction.final_reply = std::move(reply);
      break;
    case Expect::Greeting:
    case Expect::Ehlo:
    case Expect::Helo:
    case Expect::StartTls:
    case Expect::Auth:
    case Expect::Rset:
    case Expect::Quit:
      break;
  }
  if (goodbye) {
    said_goodbye_ = true;
    return breakOff(Errc::Closed, goodbye->toString(), goodbye);
  }
  finishIfAnswered(transaction);
}

void ClientProtocol::onDataReply(ClientTransaction& transaction) {
  using Sending = ClientTransaction::Sending;
  if (transaction.data_reply->code != 354) {
    transaction.sending = Sending::Ended;
    if (transaction.mail_reply && transaction.mail_reply->positive()) rset_before_mail_ = true;
    return;
  }
  if (transaction.anyRecipientTaken()) {
    transaction.sending = Sending::Content;
    return;
  }
  // RFC 2920 section 3.1: the server takes data although it took no recipient: an empty message.
  handler_.send(std::string_view(".\r\n"));
  owe(Expect::Final, &transaction);
  transaction.sending = Sending::Ended;
}

void ClientProtocol::finishIfAnswered(ClientTransaction& transaction) {
  using Sending = ClientTransaction::Sending;
  // Without pipelining a refusal ends the transaction before the rest of it is sent.
  if (transaction.owed == 0 && transaction.sending != Sending::Ended) {
    const bool mail_refused = transaction.mail_reply && !transaction.mail_reply->positive();
    const bool no_recipient = transaction.mail_reply && transaction.allRecipientsAnswered() &&
                              !transaction.anyRecipientTaken();
    if (mail_refused || no_recipient) {
      if (!mail_refused) rset_before_mail_ = true;
      transaction.sending = Sending::Ended;
    }
  }
  if (transaction.owed > 0 || transaction.sending != Sending::Ended) return;
  // A chunk that was refused leaves the server's transaction open (RFC 3030 section 2).
  if (transaction.by_bdat && !(transaction.final_reply && transaction.final_reply->positive())) {
    rset_before_mail_ = true;
  }
  ++finished_;
  if (transaction.final_reply) {
    takes_groups_ |= transaction.sent_on_trust;
    takes_more_ |= transaction.began_behind;
  }
  for (auto it = transactions_.begin(); it != transactions_.end(); ++it) {
    if (*it == &transaction) {
      transactions_.erase(it);
      break;
    }
  }
  handler_.onDone(transaction);
}

// How many transactions may be under way.
size_t ClientProtocol::depth() const {
  if (!offer_.pipelining) return 1;
  if (!offer_.chunking) return options_.depth;
  return std::min(options_.chunking_depth, options_.first_chunking_depth + finished_);
}

bool ClientProtocol::mayStart() {
  waits_for_room_ = false;
  if (state_ != State::Open || quit_wanted_ || transactions_.size() >= depth()) return false;
  if (transactions_.empty()) return owed_.empty() || offer_.pipelining;
  waits_for_room_ = handler_.unsentBytes() > options_.high_water_bytes;
  return !waits_for_room_;
}

// The transaction whose commands or content are to be sent now; null if there is none.
ClientTransaction* ClientProtocol::sender() {
  if (!transactions_.empty() &&
      transactions_.back()->sending != ClientTransaction::Sending::Ended) {
    return transactions_.back();
  }
  if (!mayStart()) return nullptr;
  if (rset_before_mail_ && !offer_.pipelining) {
    handler_.send(std::string_view("RSET\r\n"));
    owe(Expect::Rset);
    rset_before_mail_ = false;
    return nullptr;
  }
  ClientTransaction* next = handler_.nextTransaction();
  if (!next) return nullptr;
  next->by_bdat = offer_.chunking;
  next->sent_without_dsn = !offer_.dsn;
  next->began_behind = !transactions_.empty();
  // Behind a chunked content whose fate is not known yet: had it been refused, its transaction
  // would still be open, and ours would become part of it.
  const bool unsure = !transactions_.empty() && transactions_.back()->by_bdat;
  if (rset_before_mail_ || unsure) {
    handler_.send(std::string_view("RSET\r\n"));
    owe(Expect::Rset);
    rset_before_mail_ = false;
  }
  transactions_.push_back(next);
  return next;
}

void ClientProtocol::pump() {
  if (pumping_) {
    pump_again_ = true;
    return;
  }
  pumping_ = true;
  do {
    pump_again_ = false;
    while (state_ == State::Open) {
      if (!offer_.pipelining && !owed_.empty() && !sendingContent()) break;
      ClientTransaction* transaction = sender();
      if (!transaction || !advance(*transaction)) break;
    }
  } while (pump_again_);
  pumping_ = false;
  if (quit_wanted_ && state_ == State::Open && transactions_.empty() && owed_.empty()) {
    state_ = State::Quitting;
    handler_.send(std::string_view("QUIT\r\n"));
    owe(Expect::Quit);
  }
}

// Sends the next part; false when it must wait.
bool ClientProtocol::advance(ClientTransaction& transaction) {
  using Sending = ClientTransaction::Sending;
  switch (transaction.sending) {
    case Sending::Mail:
      sendMail(transaction);
      return true;
    case Sending::Rcpt:
      sendRcpt(transaction);
      return true;
    case Sending::Data:
      return sendData(transaction);
    case Sending::AwaitGo:
      return false;
    case Sending::Content:
      return sendContent(transaction);
    case Sending::Ended:
      return true;
  }
  return false;
}

void ClientProtocol::sendMail(ClientTransaction& transaction) {
  line_.clear();
  auto out = std::back_inserter(line_);
  fmt::format_to(out, "MAIL FROM:<{}>", transaction.reverse_path);
  if (offer_.size) fmt::format_to(out, " SIZE={}", transaction.content->size());
  if (offer_.eight_bit_mime && transaction.eight_bit) line_ += " BODY=8BITMIME";
  if (offer_.smtputf8 && transaction.smtputf8) line_ += " SMTPUTF8";
  if (offer_.require_tls && tls_ && transaction.require_tls) line_ += " REQUIRETLS";
  if (offer_.dsn && !transaction.ret.empty()) fmt::format_to(out, " RET={}", transaction.ret);
  if (offer_.dsn && !transaction.envid.empty()) fmt::format_to(out, " ENVID={}", transaction.envid);
  line_ += "\r\n";
  handler_.send(line_);
  owe(Expect::Mail, &transaction);
  transaction.sending = ClientTransaction::Sending::Rcpt;
}

void ClientProtocol::sendRcpt(ClientTransaction& transaction) {
  const ClientRecipient& recipient = transaction.recipients[transaction.next_recipient];
  line_.clear();
  auto out = std::back_inserter(line_);
  fmt::format_to(out, "RCPT TO:<{}>", recipient.forward_path);
  if (offer_.dsn && !recipient.notify.empty()) fmt::format_to(out, " NOTIFY={}", recipient.notify);
  if (offer_.dsn && !recipient.orcpt.empty()) fmt::format_to(out, " ORCPT={}", recipient.orcpt);
  line_ += "\r\n";
  handler_.send(line_);
  owe(Expect::Rcpt, &transaction, transaction.next_recipient);
  if (++transaction.next_recipient == transaction.recipients.size()) {
    transaction.sending = ClientTransaction::Sending::Data;
  }
}

bool ClientProtocol::sendData(ClientTransaction& transaction) {
  using Sending = ClientTransaction::Sending;
  if (!transaction.by_bdat) {
    handler_.send(std::string_view("DATA\r\n"));
    owe(Expect::Data, &transaction);
    transaction.sending = Sending::AwaitGo;
    return true;
  }
  // A large content is not sent before somebody is known to want it.
  const bool wait = transaction.content->size() > options_.pipelined_content_bytes;
  if (wait && (!transaction.mail_reply || !transaction.allRecipientsAnswered())) return false;
  line_.clear();
  fmt::format_to(std::back_inserter(line_), "BDAT {} LAST\r\n", transaction.content->size());
  handler_.send(line_);
  owe(Expect::Final, &transaction);
  transaction.sending = Sending::Content;
  return true;
}

bool ClientProtocol::sendContent(ClientTransaction& transaction) {
  if (transaction.chunk_wanted) return false;
  if (transaction.next_chunk == 0) {
    stuffer_ = DotStuffer();
    if (const auto* slices = transaction.content->inMemory()) {
      transaction.next_chunk = transaction.content->chunks();
      passChunk(transaction, *slices);
      endSending(transaction);
      return true;
    }
  }
  if (transaction.next_chunk == transaction.content->chunks()) {
    endSending(transaction);
    return true;
  }
  if (handler_.unsentBytes() > options_.high_water_bytes) return false;
  transaction.chunk_wanted = true;
  transaction.content->chunk(transaction.next_chunk,
                             [this, &transaction](Result<std::vector<Slice>> slices) {
                               transaction.chunk_wanted = false;
                               ++transaction.next_chunk;
                               if (state_ == State::Over) return;
                               const bool from_outside = !pumping_;
                               if (slices) {
                                 passChunk(transaction, *slices);
                                 pump();
                               } else {
                                 breakOff(slices.error().code, slices.error().detail);
                               }
                               if (from_outside) handler_.onContentCame();
                             });
  return !transaction.chunk_wanted;
}

void ClientProtocol::passChunk(ClientTransaction& transaction, const std::vector<Slice>& slices) {
  for (const Slice& slice : slices) {
    if (transaction.by_bdat) {
      handler_.send(slice);
    } else {
      stuffer_.pass(slice, [this](auto&& piece) { handler_.send(piece); });
    }
  }
}

void ClientProtocol::endSending(ClientTransaction& transaction) {
  if (!transaction.by_bdat) {
    handler_.send(stuffer_.ending());
    owe(Expect::Final, &transaction);
  }
  transaction.content_ended = true;
  transaction.sending = ClientTransaction::Sending::Ended;
  // Its final reply may have come before (a chunk refused early).
  if (transaction.owed == 0) finishIfAnswered(transaction);
}

void ClientProtocol::quit() {
  quit_wanted_ = true;
  pump();
}

}  // namespace sluice::smtp
