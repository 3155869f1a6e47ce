#include "relay/notify/notices.h"

#include <fmt/format.h>

#include <algorithm>

#include "net/smtp/path.h"
#include "relay/notify/clean_text.h"
#include "relay/notify/dsn_message.h"
#include "relay/notify/notice_text.h"
#include "relay/notify/original_part.h"

namespace sluice::relay {
namespace {

// A notice is at most this big, whatever it is about: a flood of them must not be a flood of bytes.
constexpr size_t kMaxNoticeBytes = 64 * 1024;
constexpr size_t kMaxTextBytes = 10 * 1024;
constexpr size_t kMaxStatusBytes = 36 * 1024;
constexpr size_t kFrameBytes = 3 * 1024;  // header section, boundaries and fields of the parts
constexpr size_t kFieldBytesOfRecipient = 200;  // names and fixed parts of its status fields
constexpr size_t kMaxPathBytes = 512;           // in a header field
constexpr size_t kMaxUniqueBytes = 40;          // RFC 2046 section 5.1.1: a boundary has at most 70

bool belongsTo(NoticeKind kind, RecipientReport::Action action) {
  using Action = RecipientReport::Action;
  switch (kind) {
    case NoticeKind::Failure:
      return action == Action::Failed;
    case NoticeKind::Delay:
      return action == Action::Delayed;
    case NoticeKind::Success:
      return action == Action::Delivered || action == Action::Relayed || action == Action::Expanded;
  }
  return false;
}

// RFC 3461 section 4.1: without NOTIFY, failures are reported, and delays if the relay likes.
bool wanted(NoticeKind kind, const queue::Notify& notify) {
  if (notify.never) return false;
  switch (kind) {
    case NoticeKind::Failure:
      return !notify.set || notify.failure;
    case NoticeKind::Delay:
      return !notify.set || notify.delay;
    case NoticeKind::Success:
      return notify.set && notify.success;
  }
  return false;
}

std::string_view subjectOf(NoticeKind kind) {
  switch (kind) {
    case NoticeKind::Failure:
      return "Undelivered mail: your message could not be delivered";
    case NoticeKind::Delay:
      return "Delayed mail: your message is still being tried";
    case NoticeKind::Success:
      return "Delivered mail: the confirmation that you asked for";
  }
  return "Delivery report";
}

// Letters, digits, '.' and '-' of a string that shall be part of a Message-ID or a boundary.
std::string tokenOf(std::string_view text, std::string_view otherwise) {
  std::string out;
  for (const char c : text.substr(0, 255)) {
    const char lower = static_cast<char>(c | 0x20);
    if ((c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z') || c == '.' || c == '-') {
      out.push_back(c);
    }
  }
  return out.empty() ? std::string(otherwise) : out;
}

// One body part: its Content fields and its bytes, which end in CRLF or are empty.
struct Part {
  std::string content_type;
  std::string_view description;
  std::string bytes;
  bool eightBit() const { return !smtp::isAscii(bytes); }
};

// A boundary that occurs in no part (RFC 2046 section 5.1.1).
std::string chooseBoundary(const std::vector<Part>& parts, const std::string& unique) {
  for (unsigned number = 0;; ++number) {
    std::string boundary = fmt::format("=_sluice-{}-{}", unique.substr(0, kMaxUniqueBytes), number);
    const auto holds = [&](const Part& part) {
      return part.bytes.find(boundary) != std::string::npos;
    };
    if (std::none_of(parts.begin(), parts.end(), holds)) return boundary;
  }
}

void appendHeader(std::string& out, const NoticeFacts& facts, const std::string& unique) {
  const Charset charset = facts.charset();
  const NoticeSettings& settings = facts.settings;
  const std::string host = tokenOf(settings.hostname, "localhost");
  std::string postmaster = cleanText(settings.postmaster, charset, kMaxPathBytes);
  if (postmaster.empty()) postmaster = "postmaster@" + host;
  appendField(out, "From", "\"Mail Delivery System\" <" + postmaster + ">");
  appendField(out, "To",
              "<" + cleanText(facts.envelope.reverse_path, charset, kMaxPathBytes) + ">");
  appendField(out, "Subject", subjectOf(facts.kind));
  appendField(out, "Date", formatRfc5322(facts.now));
  appendField(out, "Message-ID", "<" + unique + "@" + host + ">");
  if (const std::string id = saneMessageId(facts.original); !id.empty()) {
    appendField(out, "In-Reply-To", id);
    appendField(out, "References", id);
  }
  appendField(out, "Auto-Submitted", "auto-replied");  // RFC 3834 section 5
  appendField(out, "MIME-Version", "1.0");
}

// The parts of the report; the original gets the room that the others leave.
std::vector<Part> makeParts(const NoticeFacts& facts, bool original_complete) {
  const bool global = facts.global();
  std::vector<Part> parts;
  parts.push_back(
      {"text/plain; charset=us-ascii", "Notification", makeNoticeText(facts, kMaxTextBytes)});
  if (parts[0].eightBit()) parts[0].content_type = "text/plain; charset=utf-8";
  parts.push_back({global ? "message/global-delivery-status" : "message/delivery-status",
                   "Delivery status", makeDeliveryStatus(facts, kMaxStatusBytes)});
  const size_t used = parts[0].bytes.size() + parts[1].bytes.size() + kFrameBytes;
  // RFC 3461 section 4.3: only a failure returns more than the header section.
  const bool headers_only = facts.kind != NoticeKind::Failure ||
                            facts.envelope.ret == queue::Ret::Headers ||
                            facts.envelope.require_tls;  // RFC 8689 section 5
  OriginalPart original = makeOriginalPart(
      facts.original, original_complete,
      {headers_only, global, std::min(facts.settings.max_content_bytes, kMaxNoticeBytes - used)});
  parts.push_back({std::move(original.content_type),
                   original.whole ? "Your message"
                   : original.cut ? "Header section of your message (its beginning)"
                                  : "Header section of your message",
                   std::move(original.bytes)});
  return parts;
}

std::string assemble(const NoticeFacts& facts, const std::vector<Part>& parts,
                     const std::string& unique, bool eight_bit) {
  const std::string boundary = chooseBoundary(parts, unique);
  std::string out;
  out.reserve(kMaxNoticeBytes);
  appendHeader(out, facts, unique);
  // RFC 6522 section 3: the report-type is the subtype of the second part.
  out.append(fmt::format("Content-Type: multipart/report; report-type={};\r\n boundary=\"{}\"\r\n",
                         facts.global() ? "global-delivery-status" : "delivery-status", boundary));
  if (eight_bit) out.append("Content-Transfer-Encoding: 8bit\r\n");
  for (const Part& part : parts) {
    out.append(fmt::format("\r\n--{}\r\nContent-Type: {}\r\nContent-Description: {}\r\n", boundary,
                           part.content_type, part.description));
    if (part.eightBit()) out.append("Content-Transfer-Encoding: 8bit\r\n");
    out.append("\r\n").append(part.bytes);
  }
  out.append(fmt::format("\r\n--{}--\r\n", boundary));
  return out;
}

}  // namespace

std::vector<RecipientReport> dueReports(const queue::Envelope& envelope, NoticeKind kind,
                                        std::vector<RecipientReport> reports) {
  if (envelope.reverse_path.empty()) return {};  // RFC 5321 section 4.5.5
  const auto undue = [&](const RecipientReport& report) {
    return report.recipient >= envelope.recipients.size() || !belongsTo(kind, report.action) ||
           !wanted(kind, envelope.recipients[report.recipient].notify);
  };
  reports.erase(std::remove_if(reports.begin(), reports.end(), undue), reports.end());
  return reports;
}

std::vector<std::vector<RecipientReport>> noticeShares(const queue::Envelope& envelope,
                                                       std::vector<RecipientReport> reports) {
  std::vector<std::vector<RecipientReport>> shares;
  size_t bytes = 0;
  for (RecipientReport& report : reports) {
    const queue::Recipient& recipient = envelope.recipients[report.recipient];
    // As UTF-8 that has to be escaped, an address takes up to three times its size.
    const size_t factor = smtp::isAscii(recipient.forward_path) || envelope.smtputf8 ? 1 : 3;
    const size_t needs =
        kFieldBytesOfRecipient + factor * recipient.forward_path.size() + report.remote_mta.size();
    if (shares.empty() || shares.back().size() == kMaxReportedRecipients ||
        bytes + needs > kMaxStatusBytes - kFrameBytes) {
      shares.emplace_back();
      bytes = 0;
    }
    bytes += needs;
    shares.back().push_back(std::move(report));
  }
  return shares;
}

queue::NewMessage makeNotice(NoticeKind kind, const NoticeSettings& settings,
                             const queue::MessageId& original_id, const queue::Envelope& envelope,
                             std::string_view original, bool original_complete,
                             const std::vector<RecipientReport>& reports, WallTime now,
                             std::string_view unique) {
  const NoticeFacts facts{kind, settings, original_id, envelope, original, reports, now};
  const std::vector<Part> parts = makeParts(facts, original_complete);
  const bool eight_bit =
      std::any_of(parts.begin(), parts.end(), [](const Part& part) { return part.eightBit(); });
  const std::string content =
      assemble(facts, parts, tokenOf(unique, original_id.toString()), eight_bit);

  queue::NewMessage notice;
  notice.envelope.recipients.push_back({envelope.reverse_path, {}, {}});
  notice.envelope.body = eight_bit ? queue::BodyType::EightBitMime : queue::BodyType::SevenBit;
  // Only our own header section and the path decide: the parts travel as 8-bit content.
  notice.envelope.smtputf8 = !smtp::isAscii(envelope.reverse_path) ||
                             !smtp::isAscii(content.substr(0, content.find("\r\n\r\n")));
  notice.envelope.received_at = now;
  notice.envelope.content_bytes = content.size();
  notice.content.append(content);
  return notice;
}

}  // namespace sluice::relay
