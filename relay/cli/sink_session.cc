#include "relay/cli/sink_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "relay/cli/sink_wire.h"

namespace sluice::relay {
namespace {

constexpr size_t kMaxLineBytes = 64 * 1024;  // beyond, the client talks no SMTP
constexpr std::string_view kContentEnd = "\r\n.\r\n";

}  // namespace

SinkSession::SinkSession(const SinkSessionOptions& options, SinkScript& script, SinkTally& tally,
                         SinkKeeper& keeper, std::string client)
    : options_(options),
      script_(script),
      tally_(tally),
      keeper_(keeper),
      client_(std::move(client)) {}

void SinkSession::onConnect() {
  if (scripted(SinkStage::Connect, client_)) return;
  const std::string greeting = fmt::format("220 {} ESMTP\r\n", options_.hostname);
  if (flavour_) return agree(greeting);
  reply(greeting, options_.greeting_delay);
}

void SinkSession::onBytes(std::string_view bytes) {
  if (hung_ || end_ != End::Open) return;
  input_.append(bytes);
  run();
}

void SinkSession::onResume() {
  if (!waiting_) return;
  waiting_.reset();
  output_ += held_back_;
  held_back_.clear();
  run();
}

void SinkSession::run() {
  bool more = true;
  while (more && !stopped()) {
    switch (state_) {
      case State::Command:
        more = takeLine();
        break;
      case State::Data:
        more = takeData();
        break;
      case State::Chunk:
        more = takeChunk();
        break;
    }
  }
  input_.erase(0, taken_);
  taken_ = 0;
}

bool SinkSession::takeLine() {
  const std::string_view rest = std::string_view(input_).substr(taken_);
  const size_t end = rest.find('\n');
  if (end == std::string_view::npos) {
    if (rest.size() > kMaxLineBytes) {
      tally_.onViolation("a command line without end");
      end_ = End::Close;
    }
    return false;
  }
  taken_ += end + 1;
  if (end == 0 || rest[end - 1] != '\r') {
    tally_.onViolation("a command line ended by a bare LF");
    reply("500 5.5.2 line ended by a bare LF\r\n");
    return true;
  }
  onLine(rest.substr(0, end - 1));
  return true;
}

void SinkSession::onLine(std::string_view line) {
  if (line.find_first_of(std::string_view("\r\0", 2)) != std::string_view::npos) {
    tally_.onViolation("a bare CR or a NUL in a command");
    return reply("500 5.5.2 bare CR or NUL\r\n");
  }
  std::string_view argument = line;
  const std::string_view verb = takeWord(argument);
  argument = trimmed(argument);
  checkGroupEnd(verb);
  if (equalsNoCase(verb, "MAIL")) return onMail(argument);
  if (equalsNoCase(verb, "RCPT")) return onRcpt(argument);
  if (equalsNoCase(verb, "DATA")) return onDataCommand();
  if (equalsNoCase(verb, "BDAT")) return onBdat(argument);
  if (equalsNoCase(verb, "EHLO")) return onHello(argument, true);
  if (equalsNoCase(verb, "HELO")) return onHello(argument, false);
  if (equalsNoCase(verb, "NOOP")) return reply("250 2.0.0 ok\r\n");
  if (equalsNoCase(verb, "RSET")) {
    resetTransaction();
    return reply("250 2.0.0 ok\r\n");
  }
  if (equalsNoCase(verb, "QUIT")) {
    if (scripted(SinkStage::Quit, helo_)) return;
    reply("221 2.0.0 bye\r\n");
    end_ = End::Close;
    return;
  }
  if (equalsNoCase(verb, "VRFY")) return reply("252 2.5.0 cannot tell\r\n");
  tally_.onViolation(fmt::format("unknown command {}", verb.substr(0, 40)));
  reply("500 5.5.1 unknown command\r\n");
}

// RFC 2920 section 3.1: which commands may have others behind them in one group.
void SinkSession::checkGroupEnd(std::string_view verb) {
  if (taken_ == input_.size()) return;
  if (equalsNoCase(verb, "BDAT")) return;  // its octets follow
  const bool ends = equalsNoCase(verb, "EHLO") || equalsNoCase(verb, "HELO") ||
                    equalsNoCase(verb, "DATA") || equalsNoCase(verb, "QUIT") ||
                    equalsNoCase(verb, "NOOP") || equalsNoCase(verb, "VRFY");
  if (!extended_ || !options_.extensions.pipelining) {
    tally_.onViolation("commands in a group although PIPELINING was not offered");
  } else if (ends) {
    tally_.onViolation(fmt::format("bytes sent behind {} before its reply", verb));
  }
}

void SinkSession::onHello(std::string_view argument, bool extended) {
  helo_ = argument;
  resetTransaction();
  if (extended && options_.helo_only) return reply("502 5.5.1 no EHLO here\r\n");
  if (scripted(SinkStage::Ehlo, argument)) return;
  if (argument.empty()) return reply("501 5.5.4 who are you?\r\n");
  extended_ = extended;
  if (!extended) return agree(fmt::format("250 {}\r\n", options_.hostname));
  const SinkExtensions& offer = options_.extensions;
  std::string text = fmt::format("250-{}\r\n", options_.hostname);
  if (offer.pipelining) text += "250-PIPELINING\r\n";
  if (offer.eight_bit_mime) text += "250-8BITMIME\r\n";
  if (offer.smtputf8) text += "250-SMTPUTF8\r\n";
  if (offer.dsn) text += "250-DSN\r\n";
  if (offer.chunking) text += "250-CHUNKING\r\n";
  if (offer.enhanced_status_codes) text += "250-ENHANCEDSTATUSCODES\r\n";
  if (offer.size) text += fmt::format("250-SIZE {}\r\n", options_.max_message_bytes);
  const size_t last = text.rfind("250-");
  text[last + 3] = ' ';
  agree(text);
}

// True if all parameters are ones that were offered; else the reply is given.
bool SinkSession::checkMailParameters(std::string_view parameters) {
  const SinkExtensions& offer = options_.extensions;
  while (true) {
    const std::string_view word = takeWord(parameters);
    if (word.empty()) return true;
    const std::string_view keyword = word.substr(0, word.find('='));
    const std::string_view value =
        keyword.size() < word.size() ? word.substr(keyword.size() + 1) : std::string_view();
    bool known = false;
    if (equalsNoCase(keyword, "SIZE") && offer.size) {
      uint64_t bytes = 0;
      const auto parsed = std::from_chars(value.data(), value.data() + value.size(), bytes);
      known = parsed.ec == std::errc() && parsed.ptr == value.data() + value.size();
      if (known && bytes > options_.max_message_bytes) {
        refuse(SinkStage::Mail, "552 5.3.4 too large\r\n");
        return false;
      }
    } else if (equalsNoCase(keyword, "BODY") && offer.eight_bit_mime) {
      eight_bit_declared_ = equalsNoCase(value, "8BITMIME");
      known = eight_bit_declared_ || equalsNoCase(value, "7BIT");
    } else if (equalsNoCase(keyword, "SMTPUTF8")) {
      known = offer.smtputf8 && value.empty();
    } else if (equalsNoCase(keyword, "RET") || equalsNoCase(keyword, "ENVID")) {
      known = offer.dsn;
    }
    if (!known || !extended_) {
      tally_.onViolation(fmt::format("MAIL parameter {} was not offered", word.substr(0, 80)));
      refuse(SinkStage::Mail, "555 5.5.4 unknown parameter\r\n");
      return false;
    }
  }
}

void SinkSession::onMail(std::string_view argument) {
  if (helo_.empty()) return reply("503 5.5.1 EHLO first\r\n");
  if (mail_given_) {
    tally_.onViolation("MAIL within a transaction");
    return reply("503 5.5.1 within a transaction\r\n");
  }
  std::string_view path;
  if (!takePath(argument, "FROM:", path)) {
    tally_.onViolation("MAIL with bad syntax");
    return reply("501 5.5.4 MAIL FROM:<path>\r\n");
  }
  if (scripted(SinkStage::Mail, path)) return;
  eight_bit_declared_ = false;
  if (!checkMailParameters(argument)) return;
  mail_given_ = true;
  sender_ = path;
  mail_parameters_ = trimmed(argument);
  agree("250 2.1.0 ok\r\n");
}

void SinkSession::onRcpt(std::string_view argument) {
  if (!mail_given_) return reply("503 5.5.1 MAIL first\r\n");
  std::string_view path;
  if (!takePath(argument, "TO:", path) || path.empty()) {
    tally_.onViolation("RCPT with bad syntax");
    return reply("501 5.5.4 RCPT TO:<path>\r\n");
  }
  if (scripted(SinkStage::Rcpt, path)) return;
  argument = trimmed(argument);
  if (!argument.empty() && !(extended_ && options_.extensions.dsn)) {
    tally_.onViolation(fmt::format("RCPT parameter {} was not offered", argument.substr(0, 80)));
    return refuse(SinkStage::Rcpt, "555 5.5.4 unknown parameter\r\n");
  }
  if (options_.max_recipients > 0 && recipient_count_ >= options_.max_recipients) {
    return refuse(SinkStage::Rcpt, "452 4.5.3 too many recipients\r\n");
  }
  if (recipient_count_ == recipients_.size()) recipients_.emplace_back();
  recipients_[recipient_count_].path = path;
  recipients_[recipient_count_].parameters = argument;
  ++recipient_count_;
  agree("250 2.1.5 ok\r\n");
}

void SinkSession::onDataCommand() {
  if (!mail_given_) return reply("503 5.5.1 MAIL first\r\n");
  if (chunked_) {
    tally_.onViolation("DATA after BDAT");
    return reply("503 5.5.1 BDAT was begun\r\n");
  }
  if (recipient_count_ == 0) return reply("554 5.5.1 no valid recipients\r\n");
  const SinkRule* rule = ruleOfRecipients(SinkStage::Data);
  if (rule && (rule->refuses() || rule->code != 354)) {
    act(*rule);
    return;
  }
  state_ = State::Data;
  scanned_ = 0;
  too_large_ = false;
  reply("354 go on\r\n", rule ? rule->delay : Delay{});
}

void SinkSession::onBdat(std::string_view argument) {
  std::string_view size = takeWord(argument);
  const std::string_view last = trimmed(argument);
  const auto parsed = std::from_chars(size.data(), size.data() + size.size(), chunk_left_);
  const bool sane = !size.empty() && parsed.ec == std::errc() &&
                    parsed.ptr == size.data() + size.size() &&
                    (last.empty() || equalsNoCase(last, "LAST"));
  if (!sane) {
    tally_.onViolation("BDAT with bad syntax");
    reply("501 5.5.4 BDAT size [LAST]\r\n");
    end_ = End::Close;  // nobody knows where the octets end
    return;
  }
  if (!chunkingOffered()) {
    tally_.onViolation("BDAT although CHUNKING was not offered");
    reply("502 5.5.1 no BDAT\r\n");
  }
  // RFC 3030 section 2: the octets follow whatever becomes of the command.
  chunk_refused_ = !chunkingOffered() || !mail_given_ || recipient_count_ == 0;
  chunk_last_ = !last.empty();
  chunked_ = true;
  state_ = State::Chunk;
}

// The content in DATA's form, up to CRLF.CRLF and nothing else.
bool SinkSession::takeData() {
  const std::string_view rest = std::string_view(input_).substr(taken_);
  if (!rest.empty() && scriptedContent()) return false;
  const bool from_start = scanned_ == 0 && !too_large_;
  if (from_start && rest.starts_with(".\r\n")) {
    content_.clear();
    taken_ += 3;
    onContent();
    return true;
  }
  const size_t end = rest.find(kContentEnd, scanned_ > 4 ? scanned_ - 4 : 0);
  if (end == std::string_view::npos) {
    scanned_ = rest.size() < 3 ? 0 : rest.size();
    if (rest.size() > options_.max_message_bytes) {
      too_large_ = true;
      taken_ += rest.size() - 4;
      scanned_ = 4;
    }
    return false;
  }
  if (!too_large_) unstuff(rest.substr(0, end + 2), content_);
  taken_ += end + kContentEnd.size();
  onContent();
  return true;
}

bool SinkSession::takeChunk() {
  const size_t bytes = std::min<uint64_t>(chunk_left_, input_.size() - taken_);
  if (bytes > 0 && scriptedContent()) return false;
  if (content_.size() + bytes > options_.max_message_bytes) too_large_ = true;
  if (!chunk_refused_ && !too_large_) content_.append(input_, taken_, bytes);
  taken_ += bytes;
  chunk_left_ -= bytes;
  if (chunk_left_ > 0) return false;
  state_ = State::Command;
  if (chunk_refused_) {
    if (!chunkingOffered()) return true;  // answered already
    refuse(SinkStage::Data, "503 5.5.1 no valid recipients\r\n");
    if (chunk_last_) resetTransaction();
    return true;
  }
  const SinkRule* rule = ruleOfRecipients(SinkStage::Data);
  if (rule && rule->refuses() && act(*rule)) {
    resetTransaction();
    return true;
  }
  if (chunk_last_) {
    onContent();
  } else {
    reply("250 2.0.0 chunk taken\r\n");
  }
  return true;
}

void SinkSession::onContent() {
  state_ = State::Command;
  const SinkRule* rule = ruleOfRecipients(SinkStage::Eod);
  if (rule && (rule->refuses() || rule->code / 100 != 2)) {
    act(*rule);
  } else if (too_large_) {
    refuse(SinkStage::Eod, "552 5.3.4 too large\r\n");
  } else {
    judgeContent();
    const Delay delay = options_.eod_delay + (rule ? rule->delay : Delay{});
    const SinkMessage message{
        client_,  helo_,   sender_, mail_parameters_, {recipients_.data(), recipient_count_},
        content_, chunked_};
    if (keeper_.keep(message)) {
      reply(rule ? replyText(*rule) : "250 2.0.0 taken\r\n", delay);
    } else {
      refuse(SinkStage::Eod, "452 4.3.1 cannot keep it\r\n");
    }
    if (options_.messages_per_connection > 0 && ++messages_ >= options_.messages_per_connection) {
      (waiting_ ? held_back_ : output_) += "421 4.3.2 enough for one connection\r\n";
      end_ = End::Close;
    }
  }
  resetTransaction();
}

void SinkSession::judgeContent() {
  if (hasBareLineEnd(content_)) tally_.onViolation("a bare CR or LF in the content");
  if (content_.find('\0') != std::string::npos) tally_.onViolation("a NUL in the content");
  if (!eight_bit_declared_ && hasHighBit(content_)) {
    tally_.onViolation("8-bit content without BODY=8BITMIME");
  }
}

void SinkSession::resetTransaction() {
  mail_given_ = false;
  recipient_count_ = 0;
  content_.clear();
  chunked_ = false;
  too_large_ = false;
  content_scripted_ = false;
}

void SinkSession::reply(std::string_view text, Delay delay) {
  if (delay.count() <= 0) {
    output_ += text;
    return;
  }
  held_back_ = text;
  waiting_ = delay;
}

void SinkSession::refuse(SinkStage stage, std::string_view text) {
  tally_.onRefusal(stage);
  reply(text);
}

bool SinkSession::scripted(SinkStage stage, std::string_view subject) {
  flavour_ = nullptr;
  if (script_.empty(stage)) return false;
  const SinkRule* rule = script_.pick(stage, subject);
  if (!rule) return false;
  if (rule->refuses() || stage == SinkStage::Quit) return act(*rule);
  flavour_ = rule;
  return false;
}

void SinkSession::agree(std::string_view usual) {
  const SinkRule* rule = std::exchange(flavour_, nullptr);
  if (!rule) return reply(usual);
  const bool as_usual = rule->text.empty() && usual.starts_with(std::to_string(rule->code));
  reply(as_usual ? std::string(usual) : replyText(*rule), rule->delay);
}

bool SinkSession::act(const SinkRule& rule) {
  switch (rule.action) {
    case SinkRule::Action::Hang:
      hung_ = true;
      return true;
    case SinkRule::Action::Close:
      end_ = End::Close;
      return true;
    case SinkRule::Action::Reset:
      end_ = End::Reset;
      return true;
    case SinkRule::Action::Reply:
      break;
  }
  if (rule.refuses()) tally_.onRefusal(rule.stage);
  reply(replyText(rule), rule.delay);
  const bool closes = rule.code == 421 || rule.stage == SinkStage::Quit;
  if (closes) end_ = End::Close;
  return true;
}

// Once a content, when its first bytes are there.
bool SinkSession::scriptedContent() {
  if (std::exchange(content_scripted_, true)) return false;
  const SinkRule* rule = ruleOfRecipients(SinkStage::Content);
  return rule && act(*rule);
}

const SinkRule* SinkSession::ruleOfRecipients(SinkStage stage) {
  if (script_.empty(stage)) return nullptr;
  for (size_t i = 0; i < recipient_count_; ++i) {
    if (const SinkRule* rule = script_.pick(stage, recipients_[i].path)) return rule;
  }
  return nullptr;
}

}  // namespace sluice::relay
