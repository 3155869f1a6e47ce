// Delivery status notifications: whether one is due, to whom, and the message itself.
//
// RFC 3461 (when), RFC 3464 (the report), RFC 6522 (its envelope), RFC 6533 (UTF-8 forms), RFC 3834
// (Auto-Submitted). Pure: no I/O; time and ids are given. A notice is never sent about a message
// from <>.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "net/base/clock.h"
#include "queue/queue.h"

namespace sluice::relay {

enum class NoticeKind { Failure, Delay, Success };

// What happened to one recipient, for its part of the report.
struct RecipientReport {
  uint16_t recipient = 0;  // index into the envelope's
  enum class Action { Failed, Delayed, Delivered, Relayed, Expanded } action = Action::Failed;
  std::string status;          // "5.1.1"
  std::string remote_mta;      // host that said it; empty if none was reached
  std::string remote_address;  // its address, without a port
  std::string diagnostic;  // its reply, "550 5.1.1 no such user", or our own words; hostile bytes
  bool diagnostic_is_smtp = true;  // from the far end; else "X-Sluice; ..."
  bool expired = false;            // given up after the lifetime
  WallTime last_attempt{};
  std::optional<WallTime> will_retry_until;  // for Delayed
};

struct NoticeSettings {
  std::string hostname;
  std::string postmaster;  // From
  std::chrono::milliseconds lifetime{};
  size_t max_content_bytes = 50'000;  // of the original, returned with RET=FULL or unset
};

// Which of `reports` ask for a notice of this kind by NOTIFY and the rules of RFC 3461 section 5.2
// (default: failures and delays). Empty for a message from <>.
std::vector<RecipientReport> dueReports(const queue::Envelope& envelope, NoticeKind kind,
                                        std::vector<RecipientReport> reports);

// `reports` in shares that each fit one notice with every recipient named: at most
// kMaxReportedRecipients, fewer if their addresses are very long. In order; none is empty.
inline constexpr size_t kMaxReportedRecipients = 100;
std::vector<std::vector<RecipientReport>> noticeShares(const queue::Envelope& envelope,
                                                       std::vector<RecipientReport> reports);

// The notice about `reports` (not empty). `original` is the start of the original content (at least
// its header section, or the first 64 KiB), `original_complete` whether that is all of it.
// Its groups are left for the caller to fill (it routes like any other message); its envelope has
// the reverse-path <> and the original's as recipient. Its id is for Message-ID only.
queue::NewMessage makeNotice(NoticeKind kind, const NoticeSettings& settings,
                             const queue::MessageId& original_id, const queue::Envelope& envelope,
                             std::string_view original, bool original_complete,
                             const std::vector<RecipientReport>& reports, WallTime now,
                             std::string_view unique);

}  // namespace sluice::relay
