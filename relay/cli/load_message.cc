#include "relay/cli/load_message.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "relay/cli/load_identity.h"

namespace sluice::relay {
namespace {

constexpr size_t kLineBytes = 76;
constexpr size_t kMaxRunBytes = 40;

bool isRun(std::string_view run) {
  const auto fits = [](char c) {
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-';
  };
  return !run.empty() && run.size() <= kMaxRunBytes && std::all_of(run.begin(), run.end(), fits);
}

bool isPath(std::string_view text) {
  const auto fits = [](char c) { return c > ' ' && c < 0x7f && c != '<' && c != '>'; };
  return text.size() <= 254 && std::all_of(text.begin(), text.end(), fits);
}

}  // namespace

Result<LoadMaker> LoadMaker::create(LoadMessageOptions options, WallTime now) {
  if (!isRun(options.run)) {
    return fail(Errc::InvalidArgument, "the run is letters, digits and '-', at most 40 of them");
  }
  if (!isPath(options.sender) || !isPath(options.domain) || options.domain.empty()) {
    return fail(Errc::InvalidArgument, "the sender or the domain is not fit for an SMTP command");
  }
  if (options.recipients == 0 || options.domains == 0) {
    return fail(Errc::InvalidArgument, "at least one recipient and one domain");
  }
  return LoadMaker(std::move(options), now);
}

LoadMaker::LoadMaker(LoadMessageOptions options, WallTime now)
    : options_(std::move(options)), date_(formatRfc5322(now)) {
  mail_command_ = "MAIL FROM:<" + options_.sender + ">\r\n";
  std::string header;
  appendHeader(header, 0, 0);
  makeBody(options_.size > header.size() + 2 ? options_.size - header.size() : 2);
}

// Lines of words' length; each 16th begins with a dot, so that dot-stuffing is exercised.
void LoadMaker::makeBody(size_t bytes) {
  static constexpr std::string_view kLetters =
      "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789";
  uint64_t random = 88172645463325252u;
  body_.reserve(bytes + 2);
  for (size_t line = 0; body_.size() + 2 < bytes; ++line) {
    const size_t length = std::min(kLineBytes, bytes - body_.size() - 2);
    for (size_t i = 0; i < length; ++i) {
      random ^= random << 13, random ^= random >> 7, random ^= random << 17;
      const char letter = kLetters[random % kLetters.size()];
      const bool edge = i == 0 || i + 1 == length;
      body_.push_back(i == 0 && line % 16 == 5 ? '.' : edge && letter == ' ' ? 'x' : letter);
    }
    body_.append("\r\n");
  }
  if (body_.empty()) body_ = "\r\n";
  body_hash_ = quickHash(body_);
  stuffed_body_.reserve(body_.size() + body_.size() / 1024 + 8);
  size_t at = 0;
  while (true) {
    const size_t dot = body_.find("\r\n.", at);
    stuffed_body_.append(body_, at, dot == std::string::npos ? dot : dot + 2 - at);
    if (dot == std::string::npos) break;
    stuffed_body_.push_back('.');
    at = dot + 2;
  }
  stuffed_body_.append(".\r\n");
}

std::string LoadMaker::id(uint64_t seq) const { return fmt::format("{}.{}", options_.run, seq); }

void LoadMaker::appendRecipient(std::string& out, uint64_t seq, size_t index) const {
  if (options_.domains == 1) {
    fmt::format_to(std::back_inserter(out), "u{}.{}@{}", seq, index, options_.domain);
    return;
  }
  const uint64_t domain =
      (options_.spread ? seq * options_.recipients + index : seq) % options_.domains;
  fmt::format_to(std::back_inserter(out), "u{}.{}@d{}.{}", seq, index, domain, options_.domain);
}

std::string LoadMaker::recipient(uint64_t seq, size_t index) const {
  std::string out;
  appendRecipient(out, seq, index);
  return out;
}

void LoadMaker::appendRcptCommand(std::string& out, uint64_t seq, size_t index) const {
  out.append("RCPT TO:<");
  appendRecipient(out, seq, index);
  out.append(">\r\n");
}

void LoadMaker::appendHeader(std::string& out, uint64_t seq, uint64_t now_ns) const {
  fmt::format_to(std::back_inserter(out),
                 "{}: {}.{}\r\n{}: {:020} {} {:016x}\r\nDate: {}\r\nFrom: <{}>\r\nTo: <",
                 kLoadIdField, options_.run, seq, kLoadProofField, now_ns, body_.size(), body_hash_,
                 date_, options_.sender.empty() ? "load@load.test" : options_.sender);
  appendRecipient(out, seq, 0);
  fmt::format_to(std::back_inserter(out),
                 ">\r\nSubject: Load test message {}\r\nMessage-ID: <{}.{}@load.test>\r\n"
                 "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n",
                 seq, options_.run, seq);
}

}  // namespace sluice::relay
