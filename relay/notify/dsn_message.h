// The machine's part of a notice: message/delivery-status, and what all of its parts are made from.
//
// RFC 3464 section 2; RFC 6533 section 3 for the UTF-8 form. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "relay/notify/clean_text.h"
#include "relay/notify/notices.h"

namespace sluice::relay {

// What a notice is about; views that live as long as makeNotice runs.
struct NoticeFacts {
  NoticeKind kind;
  const NoticeSettings& settings;
  const queue::MessageId& original_id;
  const queue::Envelope& envelope;
  std::string_view original;
  const std::vector<RecipientReport>& reports;
  WallTime now;

  // The original used SMTPUTF8, so the report may hold UTF-8.
  bool global() const { return envelope.smtputf8; }
  Charset charset() const { return global() ? Charset::Utf8 : Charset::Ascii; }
  // The forward-path of a report, clean and of bounded length.
  std::string address(const RecipientReport& report) const;
};

// Fields of the second part, lines ended by CRLF, at most `max_bytes`. If that does not suffice,
// diagnostics go first, then original recipients, then whole recipients (which are counted).
std::string makeDeliveryStatus(const NoticeFacts& facts, size_t max_bytes);

// The status of a report, put right if it is no enhanced status code: "5.0.0", "4.0.0" or "2.0.0".
std::string statusOf(const RecipientReport& report);

}  // namespace sluice::relay
