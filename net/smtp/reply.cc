#include "net/smtp/reply.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace sluice::smtp {
namespace {

bool isDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

std::string Reply::toString() const {
  std::string out = fmt::format("{}", code);
  if (status) {
    out += ' ';
    appendTo(out, *status);
  }
  if (!text.empty()) {
    out += ' ';
    out += text;
  }
  std::replace(out.begin(), out.end(), '\n', ' ');
  return out;
}

Result<std::optional<Reply>> ReplyParser::feed(std::string_view& input, bool keep_all) {
  while (!input.empty()) {
    const size_t end = input.find('\n');
    const size_t count = end == std::string_view::npos ? input.size() : end + 1;
    bytes_ += count;
    if (bytes_ > kMaxReplyBytes) return fail(Errc::TooLarge, "reply over 64 KiB");
    std::string_view line = input.substr(0, count);
    input.remove_prefix(count);
    if (end == std::string_view::npos || !line_.empty()) line_.append(line);
    if (end == std::string_view::npos) return std::nullopt;
    if (!line_.empty()) line = line_;
    line.remove_suffix(1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    auto last = takeLine(line, keep_all);
    line_.clear();
    if (!last) return tl::unexpected<Error>(last.error());
    if (*last) {
      lines_ = bytes_ = 0;
      return std::exchange(reply_, Reply());
    }
    if (lines_ == kMaxReplyLines) return fail(Errc::TooLarge, "reply over 128 lines");
  }
  return std::nullopt;
}

Result<bool> ReplyParser::takeLine(std::string_view line, bool keep_all) {
  if (line.size() < 3 || !isDigit(line[0]) || !isDigit(line[1]) || !isDigit(line[2]) ||
      line[0] < '2' || line[0] > '5' || (line.size() > 3 && line[3] != ' ' && line[3] != '-')) {
    return fail(Errc::Malformed, "not an SMTP reply: " + std::string(line.substr(0, 80)));
  }
  const int code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
  if (lines_ > 0 && code != reply_.code) {
    return fail(Errc::Malformed, fmt::format("reply changes from {} to {}", reply_.code, code));
  }
  const bool last = line.size() == 3 || line[3] == ' ';
  std::string_view text = line.size() > 4 ? line.substr(4) : std::string_view();
  if (const auto status = takeStatusCode(text)) {
    if (status->status_class == code / 100 && !reply_.status) reply_.status = status;
  }
  if (lines_ > 0) reply_.text += '\n';
  const size_t room = keep_all
                          ? kMaxReplyBytes
                          : kMaxKeptTextBytes - std::min(kMaxKeptTextBytes, reply_.text.size());
  reply_.text.append(text.substr(0, room));
  reply_.code = code;
  ++lines_;
  return last;
}

}  // namespace sluice::smtp
