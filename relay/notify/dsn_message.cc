#include "relay/notify/dsn_message.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "net/base/ip_address.h"
#include "net/smtp/path.h"
#include "net/smtp/status_code.h"
#include "net/smtp/xtext.h"

namespace sluice::relay {
namespace {

constexpr size_t kMaxAddressBytes = 500;  // RFC 5321 section 4.5.3.1.3 has 256; ORCPT may have 500
constexpr size_t kMaxHostBytes = 255;
constexpr size_t kMaxEnvelopeIdBytes = 200;  // RFC 3461 section 4.4 has 100

// How much is said of each recipient; fullest first.
struct Detail {
  size_t diagnostic_bytes;
  bool original_recipient;
};
constexpr Detail kDetails[] = {{1000, true}, {200, true}, {0, true}, {0, false}};

std::string_view toString(RecipientReport::Action action) {
  switch (action) {
    case RecipientReport::Action::Failed:
      return "failed";
    case RecipientReport::Action::Delayed:
      return "delayed";
    case RecipientReport::Action::Delivered:
      return "delivered";
    case RecipientReport::Action::Relayed:
      return "relayed";
    case RecipientReport::Action::Expanded:
      return "expanded";
  }
  return "failed";
}

// xtext undone; what is none stays as it is.
std::string decoded(std::string_view xtext) {
  auto text = smtp::decodeXtext(xtext);
  return text ? std::move(*text) : std::string(xtext);
}

// "\x{E9}" written out (RFC 6533 section 3: utf-8-addr-xtext), for the form that may hold UTF-8.
std::string decodeUtf8Xtext(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t end = text.find('}');
    uint32_t c = 0;
    if (text.starts_with("\\x{") && end != std::string_view::npos && end <= 9) {
      const char* first = text.data() + 3;
      const char* last = text.data() + end;
      const auto parsed = std::from_chars(first, last, c, 16);
      if (parsed.ec == std::errc() && parsed.ptr == last && c > ' ' && c <= 0x10ffff && c != '\\' &&
          c != 0x7f && !(c >= 0xd800 && c <= 0xdfff)) {
        const auto byte = [&](uint32_t value) { out.push_back(static_cast<char>(value)); };
        if (c < 0x80) {
          byte(c);
        } else if (c < 0x800) {
          byte(0xc0 | c >> 6), byte(0x80 | (c & 0x3f));
        } else if (c < 0x10000) {
          byte(0xe0 | c >> 12), byte(0x80 | (c >> 6 & 0x3f)), byte(0x80 | (c & 0x3f));
        } else {
          byte(0xf0 | c >> 18), byte(0x80 | (c >> 12 & 0x3f)), byte(0x80 | (c >> 6 & 0x3f)),
              byte(0x80 | (c & 0x3f));
        }
        text.remove_prefix(end + 1);
        continue;
      }
    }
    out.push_back(text.front());
    text.remove_prefix(1);
  }
  return out;
}

// The type of an address: "rfc822", or "utf-8" if plain ASCII does not hold it.
std::string_view addressType(std::string_view address) {
  return smtp::isAscii(address) ? "rfc822" : "utf-8";
}

// RFC 3464 section 2.3.1: ORCPT as the sender gave it, its encoding undone. Nothing if it is none.
std::optional<std::string> originalRecipient(const NoticeFacts& facts, std::string_view orcpt) {
  const size_t semicolon = orcpt.find(';');
  if (semicolon == std::string_view::npos || semicolon == 0 || semicolon > 40) return std::nullopt;
  const std::string_view type = orcpt.substr(0, semicolon);
  const auto atom = [](char c) {
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-';
  };
  if (!std::all_of(type.begin(), type.end(), atom)) return std::nullopt;
  std::string address(orcpt.substr(semicolon + 1));
  if (!smtp::equalsIgnoringCase(type, "utf-8")) {
    address = decoded(address);
  } else if (facts.global()) {
    address = decodeUtf8Xtext(address);
  }
  const std::string clean = cleanText(address, facts.charset(), kMaxAddressBytes);
  if (clean.empty()) return std::nullopt;
  return std::string(type) + "; " + clean;
}

void appendRecipient(std::string& out, const NoticeFacts& facts, const RecipientReport& report,
                     const Detail& detail) {
  const queue::Recipient& recipient = facts.envelope.recipients[report.recipient];
  const auto field = [&](std::string_view name, std::string_view value) {
    appendField(out, name, value);
  };
  out.append("\r\n");
  if (detail.original_recipient) {
    if (const auto original = originalRecipient(facts, recipient.orcpt)) {
      field("Original-Recipient", *original);
    }
  }
  field("Final-Recipient",
        std::string(addressType(recipient.forward_path)) + "; " + facts.address(report));
  field("Action", toString(report.action));
  field("Status", statusOf(report));
  const std::string host = cleanText(report.remote_mta, Charset::Ascii, kMaxHostBytes);
  if (IpAddress::parse(host)) {
    field("Remote-MTA", "dns; [" + host + "]");  // RFC 3464 section 2.1.2
  } else if (!host.empty()) {
    field("Remote-MTA", "dns; " + host);
  }
  if (detail.diagnostic_bytes > 0 && !report.diagnostic.empty()) {
    field("Diagnostic-Code",
          (report.diagnostic_is_smtp ? "smtp; " : "X-Sluice; ") +
              cleanText(report.diagnostic, facts.charset(), detail.diagnostic_bytes));
  }
  if (report.last_attempt != WallTime{}) {
    field("Last-Attempt-Date", formatRfc5322(report.last_attempt));
  }
  if (report.action == RecipientReport::Action::Delayed && report.will_retry_until) {
    field("Will-Retry-Until", formatRfc5322(*report.will_retry_until));
  }
}

// All recipients in this detail; those for which there is no room are counted in `left_out`.
std::string allRecipients(const NoticeFacts& facts, const Detail& detail, size_t max_bytes,
                          size_t& left_out) {
  std::string out;
  left_out = 0;
  for (const RecipientReport& report : facts.reports) {
    const size_t before = out.size();
    if (left_out == 0) appendRecipient(out, facts, report, detail);
    if (left_out > 0 || out.size() > max_bytes) {
      out.resize(std::min(out.size(), before));
      ++left_out;
    }
  }
  return out;
}

}  // namespace

std::string NoticeFacts::address(const RecipientReport& report) const {
  return cleanText(envelope.recipients[report.recipient].forward_path, charset(), kMaxAddressBytes);
}

std::string statusOf(const RecipientReport& report) {
  if (smtp::parseStatusCode(report.status)) return report.status;
  switch (report.action) {
    case RecipientReport::Action::Failed:
      return "5.0.0";
    case RecipientReport::Action::Delayed:
      return "4.0.0";
    case RecipientReport::Action::Delivered:
    case RecipientReport::Action::Relayed:
    case RecipientReport::Action::Expanded:
      return "2.0.0";
  }
  return "5.0.0";
}

std::string makeDeliveryStatus(const NoticeFacts& facts, size_t max_bytes) {
  const queue::Envelope& envelope = facts.envelope;
  std::string out;
  appendField(out, "Reporting-MTA",
              "dns; " + cleanText(facts.settings.hostname, Charset::Ascii, kMaxHostBytes));
  if (!envelope.envid.empty()) {
    const std::string id = cleanText(decoded(envelope.envid), Charset::Ascii, kMaxEnvelopeIdBytes);
    appendField(out, "Original-Envelope-Id", id);
  }
  appendField(out, "X-Sluice-Queue-Id", facts.original_id.toString());
  appendField(out, "X-Sluice-Sender",
              std::string(addressType(envelope.reverse_path)) + "; " +
                  cleanText(envelope.reverse_path, facts.charset(), kMaxAddressBytes));
  appendField(out, "Arrival-Date", formatRfc5322(envelope.received_at));

  const size_t room = max_bytes > out.size() + 100 ? max_bytes - out.size() - 100 : 0;
  size_t left_out = 0;
  std::string recipients;
  for (const Detail& detail : kDetails) {
    recipients = allRecipients(facts, detail, room, left_out);
    if (left_out == 0) break;
  }
  if (left_out > 0) appendField(out, "X-Sluice-Unnamed-Recipients", std::to_string(left_out));
  return out + recipients;
}

}  // namespace sluice::relay
