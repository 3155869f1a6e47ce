#include "relay/cli/load_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace sluice::relay {
namespace {

constexpr size_t kMaxReplyBytes = 64 * 1024;

int codeOf(std::string_view line) {
  const auto digit = [&](size_t i) { return line[i] >= '0' && line[i] <= '9'; };
  if (line.size() < 3 || !digit(0) || !digit(1) || !digit(2)) return 0;
  return (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
}

bool hasKeyword(std::string_view line, std::string_view keyword) {
  if (line.size() < 4 + keyword.size()) return false;
  const std::string_view word = line.substr(4, keyword.size());
  const char behind = line.size() > 4 + keyword.size() ? line[4 + keyword.size()] : ' ';
  return behind == ' ' && std::equal(word.begin(), word.end(), keyword.begin(),
                                     [](char a, char b) { return (a & ~0x20) == b; });
}

}  // namespace

LoadSession::LoadSession(const LoadSessionOptions& options, const LoadMaker& maker)
    : options_(options), maker_(maker) {}

void LoadSession::onBytes(std::string_view bytes, uint64_t now_ns) {
  input_.append(bytes);
  size_t taken = 0;
  while (state_ != State::Over) {
    const size_t end = input_.find('\n', taken);
    if (end == std::string::npos) break;
    std::string_view line(input_.data() + taken, end - taken);
    taken = end + 1;
    if (line.ends_with('\r')) line.remove_suffix(1);
    const int code = codeOf(line);
    if (code == 0) {
      state_ = State::Over;
      break;
    }
    if (state_ == State::Ehlo) {
      server_pipelines_ = server_pipelines_ || hasKeyword(line, "PIPELINING");
      server_chunks_ = server_chunks_ || hasKeyword(line, "CHUNKING");
    }
    if (line.size() > 3 && line[3] == '-') continue;
    onReply(code, now_ns);
  }
  input_.erase(0, taken);
  if (input_.size() > kMaxReplyBytes) state_ = State::Over;
}

void LoadSession::onReply(int code, uint64_t now_ns) {
  switch (state_) {
    case State::Greeting:
      if (code != 220) {
        state_ = State::Over;
        return;
      }
      output_ += "EHLO " + options_.helo + "\r\n";
      state_ = State::Ehlo;
      return;
    case State::Ehlo:
      state_ = code == 250 ? State::Ready : State::Over;
      return;
    case State::Envelope:
      return onEnvelopeReply(code, now_ns);
    case State::Content:
      if (lone_dot_) return finish(refusal_);
      return finish(code);
    case State::Ready:  // a 421 may come at any time: RFC 5321 section 3.8
    case State::Quit:
    case State::Over:
      state_ = State::Over;
      return;
  }
}

void LoadSession::begin(uint64_t seq, uint64_t now_ns) {
  seq_ = seq;
  state_ = State::Envelope;
  outcome_ = {};
  pipelined_ = options_.pipelining && server_pipelines_;
  chunked_ = options_.chunking && server_chunks_;
  replies_ = 0;
  refusal_ = 0;
  content_sent_ns_ = 0;
  content_under_way_ = false;
  lone_dot_ = false;
  recipient_codes_.assign(maker_.recipients(), 0);
  if (needs_reset_) output_ += "RSET\r\n";
  ignored_replies_ = needs_reset_ ? 1 : 0;
  needs_reset_ = false;
  output_ += maker_.mailCommand();
  if (!pipelined_) return;
  for (size_t i = 0; i < maker_.recipients(); ++i) maker_.appendRcptCommand(output_, seq, i);
  if (chunked_) {
    sendContent(now_ns);
  } else {
    output_ += "DATA\r\n";
  }
}

// The transaction's replies in order: MAIL, each RCPT, then DATA or BDAT.
void LoadSession::onEnvelopeReply(int code, uint64_t now_ns) {
  if (ignored_replies_ > 0) {
    --ignored_replies_;
    return;
  }
  const size_t index = replies_++;
  if (index == 0 && code / 100 != 2) refusal_ = code;
  if (index > 0 && index <= maker_.recipients()) recipient_codes_[index - 1] = code;
  if (index == maker_.recipients() && refusal_ == 0 && !anyAccepted()) refusal_ = code;
  if (index == maker_.recipients() + 1) {
    if (chunked_) {
      needs_reset_ = code / 100 != 2;
      return finish(needs_reset_ && refusal_ != 0 ? refusal_ : code);
    }
    return onDataReply(code, now_ns);
  }
  if (!pipelined_) sendNextCommand(now_ns);
}

void LoadSession::sendNextCommand(uint64_t now_ns) {
  if (refusal_ != 0) {
    needs_reset_ = replies_ > 1;
    return finish(refusal_);
  }
  if (replies_ <= maker_.recipients()) {
    maker_.appendRcptCommand(output_, seq_, replies_ - 1);
  } else if (chunked_) {
    sendContent(now_ns);
  } else {
    output_ += "DATA\r\n";
  }
}

void LoadSession::onDataReply(int code, uint64_t now_ns) {
  if (code != 354) {
    needs_reset_ = true;
    return finish(refusal_ != 0 ? refusal_ : code);
  }
  state_ = State::Content;
  if (refusal_ != 0) {  // RFC 2920 section 3.1
    lone_dot_ = true;
    output_ += ".\r\n";
    return;
  }
  sendContent(now_ns);
}

void LoadSession::sendContent(uint64_t now_ns) {
  if (chunked_) {
    std::string header;
    maker_.appendHeader(header, seq_, now_ns);
    fmt::format_to(std::back_inserter(output_), "BDAT {} LAST\r\n",
                   header.size() + maker_.body().size());
    output_ += header;
    body_left_ = maker_.body();
  } else {
    maker_.appendHeader(output_, seq_, now_ns);
    body_left_ = maker_.stuffedBody();
  }
  content_under_way_ = true;
}

void LoadSession::onSent(size_t bytes, uint64_t now_ns) {
  const size_t first = std::min(bytes, output_.size() - output_sent_);
  output_sent_ += first;
  body_left_.remove_prefix(bytes - first);
  if (output_sent_ < output_.size()) return;
  output_.clear();
  output_sent_ = 0;
  if (content_under_way_ && body_left_.empty()) {
    content_under_way_ = false;
    content_sent_ns_ = now_ns;
  }
}

void LoadSession::quit() {
  output_ += "QUIT\r\n";
  state_ = State::Quit;
  leaving_ = true;
}

bool LoadSession::anyAccepted() const {
  return std::any_of(recipient_codes_.begin(), recipient_codes_.end(),
                     [](int code) { return code / 100 == 2; });
}

void LoadSession::finish(int code) {
  outcome_.code = code;
  state_ = code == 421 ? State::Over : State::Ready;
}

}  // namespace sluice::relay
