// Which last replies does a filter mean: by a regular expression, by the host that gave them?
//
// Replies come from anyone, so the expressions are those of RE2: matched in time and memory that
// grow with the reply alone, whatever is in it. Made once, then used by any thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "net/base/result.h"

namespace sluice::relay {

using ReplyPredicate = std::function<bool(std::string_view last_reply)>;

// Found anywhere in the reply, without regard to case. Errors: InvalidArgument, in words.
Result<ReplyPredicate> replyMatching(const std::string& expression);

// The host of the last attempt, as the reply names it; "*" stands for one character or more.
ReplyPredicate repliedBy(const std::string& host_pattern);

// The host that a last reply begins with: "mx.example.net [192.0.2.1:25]: 451 later", or "connect
// to mx.example.net [192.0.2.1:25]: refused". Empty if there is none.
std::string_view hostOfReply(std::string_view last_reply);

}  // namespace sluice::relay
