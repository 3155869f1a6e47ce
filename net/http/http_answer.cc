#include "net/http/http_answer.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace sluice::net {
namespace {

constexpr size_t kMaxLineBytes = 8 * 1024;

bool isTokenChar(char c) {  // RFC 9110 section 5.6.2
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool isToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), isTokenChar);
}

bool hasControls(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7f;
  });
}

std::string lowerCase(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// All of `text` as a number; nothing else will do, no sign either.
std::optional<uint64_t> number(std::string_view text, int base) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Error malformed(const char* what) { return {Errc::Malformed, std::string("HTTP: ") + what}; }
Error tooLarge() { return {Errc::TooLarge, "HTTP: the answer is too large"}; }

}  // namespace

std::string_view HttpAnswer::header(std::string_view name) const {
  for (const auto& [own, value] : headers) {
    if (own == name) return value;
  }
  return {};
}

Result<bool> HttpAnswerParser::feed(std::string_view bytes) {
  while (!bytes.empty() && state_ != State::Whole) RETURN_IF_ERROR(step(bytes));
  return state_ == State::Whole;
}

Result<void> HttpAnswerParser::end() {
  if (state_ == State::UntilClose) state_ = State::Whole;
  if (state_ == State::Whole) return {};
  return fail(Errc::Closed, "HTTP: the connection ended before the answer was whole");
}

Result<void> HttpAnswerParser::step(std::string_view& bytes) {
  switch (state_) {
    case State::Head:
    case State::Trailers: {
      const size_t before = bytes.size();
      ASSIGN_OR_RETURN(const bool whole, takeLine(bytes, kMaxLineBytes));
      head_bytes_ += before - bytes.size();
      if (head_bytes_ > kMaxHeadBytes) return tl::unexpected(tooLarge());
      if (!whole) return {};
      if (state_ == State::Head) return onHeadLine();
      if (line_.empty()) state_ = State::Whole;
      line_.clear();
      return {};
    }
    case State::ChunkLine:
    case State::ChunkEnd: {
      ASSIGN_OR_RETURN(const bool whole, takeLine(bytes, kMaxChunkLineBytes));
      return whole ? onChunkLine() : Result<void>{};
    }
    case State::Body:
    case State::Chunk:
    case State::UntilClose:
      return takeBody(bytes);
    case State::Whole:
      break;
  }
  return {};
}

// True once `line_` is a whole line.
Result<bool> HttpAnswerParser::takeLine(std::string_view& bytes, size_t max_bytes) {
  const size_t end = bytes.find('\n');
  const size_t count = end == std::string_view::npos ? bytes.size() : end + 1;
  if (line_.size() + count > max_bytes) return tl::unexpected(tooLarge());
  line_.append(bytes.substr(0, count));
  bytes.remove_prefix(count);
  if (end == std::string_view::npos) return false;
  if (!line_.ends_with("\r\n")) return tl::unexpected(malformed("a line does not end in CRLF"));
  line_.resize(line_.size() - 2);
  if (hasControls(line_)) return tl::unexpected(malformed("control characters"));
  return true;
}

Result<void> HttpAnswerParser::onHeadLine() {
  if (!status_seen_) {
    RETURN_IF_ERROR(onStatusLine());
  } else if (line_.empty()) {
    RETURN_IF_ERROR(onHeadEnd());
  } else {
    RETURN_IF_ERROR(onHeaderLine());
  }
  line_.clear();
  return {};
}

Result<void> HttpAnswerParser::onStatusLine() {  // RFC 9112 section 4
  const std::string_view line = line_;
  const bool form = line.size() >= 12 &&
                    (line.starts_with("HTTP/1.1 ") || line.starts_with("HTTP/1.0 ")) &&
                    (line.size() == 12 || line[12] == ' ');
  const auto status = form ? number(line.substr(9, 3), 10) : std::nullopt;
  if (!status || *status < 100 || *status > 599) return tl::unexpected(malformed("no status line"));
  answer_.status = static_cast<int>(*status);
  status_seen_ = true;
  return {};
}

Result<void> HttpAnswerParser::onHeaderLine() {
  const std::string_view line = line_;
  const size_t colon = line.find(':');
  // A folded line begins with a blank, which no token does (RFC 9112 section 5.2).
  if (colon == std::string_view::npos || !isToken(line.substr(0, colon))) {
    return tl::unexpected(malformed("a header line has no name"));
  }
  if (answer_.headers.size() >= kMaxHeaders) return tl::unexpected(tooLarge());
  answer_.headers.emplace_back(lowerCase(line.substr(0, colon)), trimmed(line.substr(colon + 1)));
  return {};
}

// How long is the body? RFC 9112 section 6.3.
Result<void> HttpAnswerParser::onHeadEnd() {
  if (answer_.status < 200) {  // interim
    if (answer_.status == 101) return tl::unexpected(malformed("another protocol"));
    status_seen_ = false;
    answer_ = {};
    return {};
  }
  std::optional<std::string> length, coding;
  for (const auto& [name, value] : answer_.headers) {
    if (name == "content-length") {
      if (length && *length != value) return tl::unexpected(malformed("two lengths"));
      length = value;
    } else if (name == "transfer-encoding") {
      if (coding) return tl::unexpected(malformed("two transfer codings"));
      coding = lowerCase(value);
    } else if (name == "content-encoding" && lowerCase(value) != "identity") {
      return tl::unexpected(malformed("a content coding that was not asked for"));
    }
  }
  head_bytes_ = 0;
  if (answer_.status == 204 || answer_.status == 304) {
    state_ = State::Whole;
  } else if (coding) {
    if (length || *coding != "chunked") return tl::unexpected(malformed("unknown transfer coding"));
    state_ = State::ChunkLine;
  } else if (length) {
    const auto bytes = number(*length, 10);
    if (!bytes) return tl::unexpected(malformed("a length that is no number"));
    if (*bytes > max_body_bytes_) return tl::unexpected(tooLarge());
    left_ = *bytes;
    state_ = left_ == 0 ? State::Whole : State::Body;
  } else {
    answer_.until_close = true;
    state_ = State::UntilClose;
  }
  return {};
}

Result<void> HttpAnswerParser::onChunkLine() {  // RFC 9112 section 7.1
  const std::string line = std::exchange(line_, {});
  if (state_ == State::ChunkEnd) {
    if (!line.empty()) return tl::unexpected(malformed("a chunk is longer than it says"));
    state_ = State::ChunkLine;
    return {};
  }
  const auto bytes = number(trimmed(std::string_view(line).substr(0, line.find(';'))), 16);
  if (!bytes) return tl::unexpected(malformed("a chunk without a size"));
  if (*bytes > max_body_bytes_ - answer_.body.size()) return tl::unexpected(tooLarge());
  left_ = *bytes;
  state_ = left_ == 0 ? State::Trailers : State::Chunk;
  return {};
}

Result<void> HttpAnswerParser::takeBody(std::string_view& bytes) {
  size_t count = bytes.size();
  if (state_ != State::UntilClose) count = static_cast<size_t>(std::min<uint64_t>(count, left_));
  if (count > max_body_bytes_ - answer_.body.size()) return tl::unexpected(tooLarge());
  answer_.body.append(bytes.substr(0, count));
  bytes.remove_prefix(count);
  if (state_ == State::UntilClose) return {};
  left_ -= count;
  if (left_ == 0) state_ = state_ == State::Body ? State::Whole : State::ChunkEnd;
  return {};
}

}  // namespace sluice::net
