// Whole replies out of the bytes of an SMTP server.
//
// The parser does no I/O and reads no clock: tests and fuzzers drive it with strings. One a session
// and used on its shard only. Form: RFC 5321 sections 4.2 and 4.2.1. Enhanced codes: RFC 3463
// section 2. What a server sends is hostile: lines and bytes are bounded, text is kept as it came.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "net/base/result.h"
#include "net/smtp/status_code.h"

namespace sluice::smtp {

struct Reply {
  int code = 0;                              // 200..599
  std::optional<EnhancedStatusCode> status;  // 4.7.1, if the server gave one
  std::string text;                          // lines joined by '\n', codes stripped

  int severity() const { return code / 100; }
  bool positive() const { return severity() == 2; }
  bool transient() const { return severity() == 4; }
  bool permanent() const { return severity() == 5; }
  // "450 4.2.1 text", lines joined by a space: for the log, notices and the queue.
  std::string toString() const;
};

class ReplyParser {
 public:
  static constexpr size_t kMaxReplyLines = 128;
  static constexpr size_t kMaxReplyBytes = 64 * 1024;
  static constexpr size_t kMaxKeptTextBytes = 2048;  // of other replies than EHLO's

  // Takes bytes off the front of `input`; gives a reply once it is whole, nothing while it is not.
  // `keep_all` keeps the whole text (EHLO's), else the first kMaxKeptTextBytes.
  // Errors: Malformed (no three digits, codes that differ between lines), TooLarge.
  Result<std::optional<Reply>> feed(std::string_view& input, bool keep_all = false);
  // Whether bytes of an unfinished reply are held.
  bool partial() const { return lines_ > 0 || !line_.empty(); }

 private:
  Result<bool> takeLine(std::string_view line, bool keep_all);

  std::string line_;  // an unfinished line
  Reply reply_;
  size_t lines_ = 0;
  size_t bytes_ = 0;
};

}  // namespace sluice::smtp
