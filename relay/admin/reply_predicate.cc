#include "relay/admin/reply_predicate.h"

#include <re2/re2.h>

#include <memory>

#include "net/smtp/path.h"
#include "relay/route/router.h"

namespace sluice::relay {
namespace {

constexpr int64_t kMaxPatternMemory = 1 << 20;
constexpr std::string_view kConnectTo = "connect to ";

}  // namespace

Result<ReplyPredicate> replyMatching(const std::string& expression) {
  re2::RE2::Options options;
  options.set_case_sensitive(false);
  options.set_log_errors(false);
  options.set_max_mem(kMaxPatternMemory);
  options.set_encoding(re2::RE2::Options::EncodingLatin1);  // any bytes
  const auto pattern = std::make_shared<const re2::RE2>(expression, options);
  if (!pattern->ok()) {
    return fail(Errc::InvalidArgument,
                "reply: not a regular expression (RE2): " + pattern->error());
  }
  return [pattern](std::string_view reply) {
    return re2::RE2::PartialMatch(re2::StringPiece(reply.data(), reply.size()), *pattern);
  };
}

std::string_view hostOfReply(std::string_view last_reply) {
  if (last_reply.starts_with(kConnectTo)) last_reply.remove_prefix(kConnectTo.size());
  const size_t bracket = last_reply.find('[');
  if (bracket == std::string_view::npos) return {};
  if (bracket == 0) {  // a host without a name: its address
    const size_t end = last_reply.find(']');
    return end == std::string_view::npos ? std::string_view() : last_reply.substr(1, end - 1);
  }
  const std::string_view host = last_reply.substr(0, bracket - 1);
  const bool one_word = last_reply[bracket - 1] == ' ' && host.find(' ') == std::string_view::npos;
  return one_word ? host : std::string_view();
}

ReplyPredicate repliedBy(const std::string& host_pattern) {
  return [pattern = smtp::toLowerAscii(host_pattern)](std::string_view reply) {
    const std::string_view host = hostOfReply(reply);
    return !host.empty() && hostMatches(pattern, smtp::toLowerAscii(host));
  };
}

}  // namespace sluice::relay
