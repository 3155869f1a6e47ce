// How a server's session goes: lines, then commands in their order, then content.
#include "net/smtp/server_protocol.h"

#include <algorithm>

#include "net/smtp/extensions.h"

namespace sluice::smtp {
namespace {

constexpr size_t kShortestLimitBytes = 512;           // no command line may be shorter limited
constexpr size_t kMaxAuthLineBytes = 12'288;          // RFC 4954 section 4
constexpr uint64_t kMaxSkippedLineBytes = 64 * 1024;  // an endless line is no mistake
constexpr size_t kMaxOutputBytes = 32 * 1024;         // then no more is consumed until it was taken
constexpr size_t kMaxContentsUnderWay = 32;           // of one client, while they are made durable
constexpr int kMaxBareNewlineCommands = 3;            // with bare_newline = "reject"
constexpr int kMaxSurplusRecipients = 1000;  // beyond the limit before they count as errors
constexpr char kTlsHandshakeRecord = 0x16;

constexpr ServerReply kDraining{421, {4, 3, 2}, "Shutting down, try again later"};
constexpr ServerReply kTooManyErrors{421, {4, 7, 0}, "Too many errors"};
constexpr ServerReply kTalksTooEarly{421, {4, 7, 0}, "Content was sent before 354, closing"};
constexpr ServerReply kNotSmtp{421, {4, 7, 0}, "This is an SMTP server"};
constexpr ServerReply kBareNewline{500, {5, 5, 2}, "Command does not end in CRLF"};
constexpr ServerReply kNoArgument{501, {5, 5, 4}, "No argument allowed"};
constexpr ServerReply kNotImplemented{502, {5, 5, 1}, "Command not implemented"};

// A line that looks like a piece of a message rather than like a mistyped command.
bool looksLikeContent(std::string_view line) {
  return line.empty() || line == "." || line.substr(0, line.find(' ')).find(':') != line.npos;
}

// What may be taken in while a content before it is made durable: nothing that changes the session.
bool mayOvertake(Verb verb) {
  return verb == Verb::Mail || verb == Verb::Rcpt || verb == Verb::Data || verb == Verb::Bdat ||
         verb == Verb::Rset || verb == Verb::Noop || verb == Verb::Quit;
}

bool hasControls(std::string_view line) {
  return std::any_of(line.begin(), line.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && byte != '\t') || byte == 0x7f;
  });
}

}  // namespace

void ServerProtocol::greet() {
  if (greeted_ || closing_) return;
  greeted_ = true;
  appendGreeting();
}

void ServerProtocol::appendGreeting() {
  output_.append("220 ").append(settings_.hostname).append(" ESMTP Sluice\r\n");
}

ServerProtocol::Phase ServerProtocol::phase() const {
  if (closing_) return owed_.empty() ? Phase::Closing : Phase::Answering;
  if (!greeted_) return Phase::Ungreeted;
  if (blocked()) return Phase::Answering;
  if (mode_ == Mode::Content || mode_ == Mode::Chunk) return Phase::Content;
  return mode_ == Mode::Handshake ? Phase::Handshake : Phase::Command;
}

bool ServerProtocol::hasMore() const { return stalled_ && !closing_; }

bool ServerProtocol::blocked() const {
  return expect_ != Expect::Nothing || waits_for_owed_ || owed_.size() >= kMaxContentsUnderWay ||
         (!owed_.empty() && owed_.back().after.size() >= kMaxOutputBytes);
}

bool ServerProtocol::partialCommand() const {
  return !blocked() && (mode_ == Mode::SkipLine || bufferedBytes() > 0);
}

void ServerProtocol::outputTaken() {
  output_.clear();
  if (output_.capacity() > kMaxOutputBytes) output_.shrink_to_fit();
}

// --- Input ---------------------------------------------------------------------------------------

void ServerProtocol::feed(std::string_view bytes) {
  if (closing_ || bytes.empty()) return;
  if (!greeted_) return close({554, {5, 5, 0}, "Wait for the greeting before you talk"});
  if (bufferedBytes() > 0) {
    carry_.append(bytes);
    return resume();
  }
  consume(bytes);
  carry_.assign(bytes);
  carry_at_ = 0;
}

void ServerProtocol::resume() {
  if (consuming_) return;
  std::string_view rest = std::string_view(carry_).substr(carry_at_);
  consume(rest);
  carry_at_ = carry_.size() - rest.size();
  if (rest.empty()) {
    std::string().swap(carry_);
    carry_at_ = 0;
  } else if (carry_at_ > carry_.size() / 2) {
    carry_.erase(0, carry_at_);
    carry_at_ = 0;
  }
}

void ServerProtocol::consume(std::string_view& input) {
  consuming_ = true;
  while (true) {
    if (draining_ && !has_mail_ && phase() == Phase::Command) close(kDraining);
    if (closing_ || mode_ == Mode::Handshake) input = {};
    if (input.empty() || blocked() || output_.size() >= kMaxOutputBytes) break;
    if (mode_ == Mode::Content) {
      takeContent(input);
    } else if (mode_ == Mode::Chunk) {
      takeChunk(input);
    } else if (!(mode_ == Mode::SkipLine ? skipLine(input) : takeLine(input))) {
      break;
    }
  }
  stalled_ = !input.empty() && output_.size() >= kMaxOutputBytes;
  consuming_ = false;
}

// Takes a command line, or nothing while it is not whole.
bool ServerProtocol::takeLine(std::string_view& input) {
  if (input.front() == kTlsHandshakeRecord) {
    close(kNotSmtp);
    return true;
  }
  const size_t newline = input.find('\n');
  std::string_view line = input.substr(0, newline == input.npos ? newline : newline + 1);
  std::string_view argument;
  Verb verb = Verb::Unknown;
  if (line.size() > kShortestLimitBytes) {
    verb = verbOf(line, argument);
    const size_t limit = mode_ == Mode::AuthResponse ? kMaxAuthLineBytes : maxLineBytes(verb);
    if (line.size() > limit) {
      skipped_verb_ = verb;
      skipped_bytes_ = 0;
      mode_ = Mode::SkipLine;
      return true;
    }
  }
  if (newline == input.npos) return false;
  const size_t whole = line.size();
  line.remove_suffix(1);
  const bool bare_newline = line.empty() || line.back() != '\r';
  if (!bare_newline) line.remove_suffix(1);
  verb = mode_ == Mode::AuthResponse ? Verb::Auth : verbOf(line, argument);
  if (!owed_.empty() && !mayOvertake(verb)) {
    waits_for_owed_ = true;
    return false;
  }
  input.remove_prefix(whole);
  behind_ = input.size();
  ++commands_;
  if (refusesForm(verb, line, bare_newline)) return true;
  if (mode_ == Mode::AuthResponse) {
    ask(Expect::Auth);
    events_.onAuthResponse(line);
    return true;
  }
  if (verb == Verb::Unknown && data_refused_ && looksLikeContent(line)) {
    close(kTalksTooEarly);
    return true;
  }
  data_refused_ = data_refused_ && verb == Verb::Unknown;
  dispatch(verb, argument);
  return true;
}

bool ServerProtocol::skipLine(std::string_view& input) {
  const size_t newline = input.find('\n');
  const size_t bytes = newline == input.npos ? input.size() : newline + 1;
  input.remove_prefix(bytes);
  skipped_bytes_ += bytes;
  const bool ended = newline != std::string_view::npos;
  if (!ended && skipped_bytes_ <= kMaxSkippedLineBytes) return true;
  mode_ = Mode::Command;
  ++commands_;
  const bool hello = skipped_verb_ == Verb::Ehlo || skipped_verb_ == Verb::Helo;
  const ServerReply reply{hello ? 501 : 500, {5, 5, 2}, "Line too long"};
  if (!ended) {
    close(reply);
  } else {
    refuse(reply);
  }
  return true;
}

// Line ends and characters that no command may have.
bool ServerProtocol::refusesForm(Verb verb, std::string_view line, bool bare_newline) {
  if (bare_newline) events_.onBareNewlineCommand();
  const bool begins_content = verb == Verb::Data || verb == Verb::Bdat;
  const bool changes_stream = begins_content || verb == Verb::StartTls || verb == Verb::Auth;
  if (bare_newline && (settings_.reject_bare_newlines || changes_stream)) {
    if (mode_ == Mode::AuthResponse) mode_ = Mode::Command;
    if (settings_.reject_bare_newlines && ++bare_newline_commands_ >= kMaxBareNewlineCommands) {
      close(kBareNewline);
    } else if (begins_content) {
      refuseData(kBareNewline);
    } else {
      refuse(kBareNewline);
    }
    return true;
  }
  if (!hasControls(line)) return false;
  if (mode_ == Mode::AuthResponse) mode_ = Mode::Command;
  const bool hello = verb == Verb::Ehlo || verb == Verb::Helo;
  data_refused_ = true;  // it may have been meant as DATA
  refuse(ServerReply{hello ? 501 : 500, {5, 5, 2}, "Control characters in the command"});
  return true;
}

// --- Commands ------------------------------------------------------------------------------------

void ServerProtocol::dispatch(Verb verb, std::string_view argument) {
  switch (verb) {
    case Verb::Ehlo:
      return doHello(argument, true);
    case Verb::Helo:
      return doHello(argument, false);
    case Verb::StartTls:
      return doStartTls(argument);
    case Verb::Auth:
      return doAuth(argument);
    case Verb::XClient:
      return doXClient(argument);
    case Verb::Mail:
      return doMail(argument);
    case Verb::Rcpt:
      return doRcpt(argument);
    case Verb::Data:
      return doData(argument);
    case Verb::Bdat:
      return doBdat(argument);
    case Verb::Rset:
      if (!argument.empty()) return refuse(kNoArgument);
      endTransaction();
      return write({250, {2, 0, 0}, "OK"});
    case Verb::Noop:
      return write({250, {2, 0, 0}, "OK"});
    case Verb::Quit:
      if (!argument.empty()) return refuse(kNoArgument);
      return close({221, {2, 0, 0}, "Bye"});
    case Verb::Vrfy:  // no account can be told apart (RFC 5321 section 7.3)
      return write({252, {2, 5, 2}, "Cannot verify, send and see"});
    case Verb::Help:
      return write({214, {2, 0, 0}, "EHLO MAIL RCPT DATA BDAT RSET NOOP QUIT, see RFC 5321"});
    case Verb::NotImplemented:
      return refuse(kNotImplemented);
    case Verb::Foreign:
      return close(kNotSmtp);
    case Verb::Unknown:
      return refuse(ServerReply{500, {5, 5, 1}, "Command not recognized"});
  }
}

void ServerProtocol::doHello(std::string_view argument, bool extended) {
  const auto name = parseHello(argument);
  if (!name) return refuse(name.error());
  endTransaction();  // RFC 5321 section 4.1.4: EHLO is a RSET, too
  hello_ = true;
  extended_ = extended;
  events_.onHello(*name, extended);
  if (!extended) {
    output_.append("250 ").append(settings_.hostname).append("\r\n");
    return;
  }
  OfferedExtensions offer;
  offer.max_message_bytes = settings_.max_message_bytes;
  offer.starttls = settings_.starttls && !tls_;
  const bool auth =
      settings_.auth == AuthOffer::Always || (settings_.auth == AuthOffer::UnderTls && tls_);
  std::string mechanisms;
  if (auth) {
    mechanisms = settings_.auth_mechanisms;
    if (bound_ && !settings_.auth_mechanisms_bound.empty()) {
      mechanisms.append(mechanisms.empty() ? "" : " ").append(settings_.auth_mechanisms_bound);
    }
  }
  offer.auth_mechanisms = mechanisms;
  offer.require_tls = tls_;
  offer.xclient = xclient_;
  appendEhloReply(output_, settings_.hostname, offer);
}

std::optional<ServerReply> ServerProtocol::refusesMail() const {
  if (!hello_) return ServerReply{503, {5, 5, 1}, "Send EHLO first"};
  if (settings_.starttls_required && !tls_) {
    return ServerReply{530, {5, 7, 0}, "Issue STARTTLS first"};
  }
  if (settings_.auth_required && !authenticated_) {
    return ServerReply{530, {5, 7, 0}, "Authentication required"};
  }
  if (has_mail_) return ServerReply{503, {5, 5, 1}, "A transaction is under way"};
  return std::nullopt;
}

void ServerProtocol::doMail(std::string_view argument) {
  if (const auto refusal = refusesMail()) return refuse(*refusal);
  const auto mail = parseMail(argument);
  if (!mail) {
    const Rejection& rejection = mail.error();
    return refuse(Verb::Mail, argument, {rejection.code, rejection.status, rejection.text});
  }
  if (settings_.max_message_bytes > 0 && mail->size.value_or(0) > settings_.max_message_bytes) {
    return refuse(Verb::Mail, argument, {552, {5, 3, 4}, "Message too large"});
  }
  if (mail->require_tls && !tls_) {  // RFC 8689 section 2: it is offered under TLS only
    return refuse(Verb::Mail, argument, {530, {5, 7, 10}, "REQUIRETLS needs TLS"});
  }
  smtputf8_ = mail->smtputf8;
  ask(Expect::Mail);
  events_.onMail(*mail);
}

std::optional<ServerReply> ServerProtocol::refusesRcpt() const {
  if (!has_mail_) return ServerReply{503, {5, 5, 1}, "Send MAIL first"};
  if (reader_ || chunks_failed_) return ServerReply{503, {5, 5, 1}, "Content has begun"};
  return std::nullopt;
}

void ServerProtocol::doRcpt(std::string_view argument) {
  if (const auto refusal = refusesRcpt()) return refuse(*refusal);
  const auto rcpt = parseRcpt(argument, smtputf8_);
  if (!rcpt) {
    recipients_refused_ = true;
    const Rejection& rejection = rcpt.error();
    return refuse(Verb::Rcpt, argument, {rejection.code, rejection.status, rejection.text});
  }
  if (recipients_ >= settings_.max_recipients) {  // RFC 5321 section 4.5.3.1.10
    const ServerReply too_many{452, {4, 5, 3}, "Too many recipients"};
    events_.onRefused(Verb::Rcpt, argument, too_many);
    return ++surplus_recipients_ > kMaxSurplusRecipients ? close(kTooManyErrors) : write(too_many);
  }
  ask(Expect::Rcpt);
  events_.onRcpt(*rcpt);
}

ServerReply ServerProtocol::missingRecipients() const {
  if (recipients_refused_) return {554, {5, 5, 1}, "No valid recipients"};
  return {503, {5, 5, 1}, "Send RCPT first"};
}

void ServerProtocol::doData(std::string_view argument) {
  if (!argument.empty()) return refuseData(kNoArgument);
  if (!has_mail_) return refuseData({503, {5, 5, 1}, "Send MAIL first"});
  if (reader_ || chunks_failed_) {  // RFC 3030 section 2
    return refuseData({503, {5, 5, 1}, "DATA and BDAT do not mix"});
  }
  if (recipients_ == 0) return refuseData(missingRecipients());
  out().append("354 End data with <CR><LF>.<CR><LF>\r\n");
  beginContent(ContentForm::Dotted);
  mode_ = Mode::Content;
}

// RFC 2920 section 3.1: nothing may be sent behind DATA before its reply. If something was, it is
// content, and must not be read as commands.
void ServerProtocol::refuseData(const ServerReply& reply) {
  data_refused_ = true;
  refuse(reply);
  if (behind_ > 0) close(kTalksTooEarly);
}

// --- Replies -------------------------------------------------------------------------------------

void ServerProtocol::ask(Expect expect) { expect_ = expect; }

void ServerProtocol::reply(const ServerReply& reply) {
  const Expect answered = expect_;
  if (closing_ || answered == Expect::Nothing) return;
  const bool good = reply.code < 400;
  expect_ = Expect::Nothing;
  switch (answered) {
    case Expect::Mail:
      has_mail_ = good;
      break;
    case Expect::Rcpt:
      recipients_ += good ? 1 : 0;
      recipients_refused_ |= !good;
      break;
    case Expect::Auth:
      mode_ = Mode::Command;
      break;
    case Expect::XClient:
    case Expect::Nothing:
      break;
  }
  if (reply.code == 421) {
    close(reply);
  } else if (good) {
    write(reply);
  } else {
    refuse(reply);
  }
  resume();
}

void ServerProtocol::write(const ServerReply& reply) { append(out(), reply); }

void ServerProtocol::append(std::string& out, const ServerReply& reply) {
  const char code[] = {static_cast<char>('0' + reply.code / 100),
                       static_cast<char>('0' + reply.code / 10 % 10),
                       static_cast<char>('0' + reply.code % 10), ' '};
  out.append(code, sizeof code);
  if (reply.status.status_class != 0) {
    appendTo(out, reply.status);
    out.push_back(' ');
  }
  out.append(reply.text).append("\r\n");
}

void ServerProtocol::refuse(const ServerReply& reply) {
  write(reply);
  if (reply.code >= 500 && ++errors_ >= settings_.max_errors) close(kTooManyErrors);
}

void ServerProtocol::refuse(const Rejection& rejection) {
  refuse(ServerReply{rejection.code, rejection.status, rejection.text});
}

void ServerProtocol::refuse(Verb verb, std::string_view argument, const ServerReply& reply) {
  events_.onRefused(verb, argument, reply);
  refuse(reply);
}

void ServerProtocol::close(const ServerReply& reply) {
  if (closing_) return;
  write(reply);
  closing_ = true;
  expect_ = Expect::Nothing;
  endTransaction();
}

void ServerProtocol::shutDown(const ServerReply& reply) {
  close(reply);
  if (!consuming_) resume();
}

void ServerProtocol::drain() {
  draining_ = true;
  if (greeted_ && !consuming_) resume();
}

}  // namespace sluice::smtp
