#include "relay/report/tls_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "net/http/url.h"
#include "net/smtp/path.h"
#include "net/tls/crypto.h"
#include "relay/notify/clean_text.h"

namespace sluice::relay {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kVersion = "v=TLSRPTv1";
constexpr size_t kMaxReceivers = 4;    // of each kind
constexpr size_t kBase64Columns = 76;  // RFC 2045 section 6.8
constexpr size_t kMaxFieldBytes = 400;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t";
  const size_t begin = std::min(text.find_first_not_of(kBlanks), text.size());
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

// Calls `take` with each part of `text` between the separators, without blanks around it.
template <class Take>
void forEachPart(std::string_view text, char separator, Take take) {
  while (true) {
    const size_t end = text.find(separator);
    take(trimmed(text.substr(0, end)));
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + 1);
  }
}

// "mailto:reports@example.com"; what a URI adds behind "?" is not for us.
void takeReceiver(std::string_view uri, TlsReportWishes& wishes) {
  if (uri.size() > kMaxFieldBytes) return;
  if (uri.starts_with("https://")) {
    if (wishes.urls.size() < kMaxReceivers) wishes.urls.emplace_back(uri);
    return;
  }
  constexpr std::string_view kMailto = "mailto:";
  if (!smtp::equalsIgnoringCase(uri.substr(0, kMailto.size()), kMailto)) return;
  uri.remove_prefix(kMailto.size());
  const auto mailbox = net::percentDecode(uri.substr(0, uri.find('?')), false);
  if (!mailbox || !smtp::parseMailbox(*mailbox, false)) return;
  if (wishes.mailboxes.size() < kMaxReceivers) wishes.mailboxes.push_back(*mailbox);
}

ordered_json detailOf(const TlsFailures& failure) {
  ordered_json out{{"result-type", std::string(toString(failure.type))}};
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) out[name] = value;
  };
  add("sending-mta-ip", failure.from);
  add("receiving-mx-hostname", failure.mx);
  add("receiving-ip", failure.to);
  out["failed-session-count"] = failure.sessions;
  add("failure-reason-code", failure.reason);
  return out;
}

ordered_json policyOf(const std::string& domain, TlsResult::Policy type, const TlsTally& tally) {
  ordered_json policy{{"policy-type", std::string(toString(type))}};
  if (type != TlsResult::Policy::NoneFound) policy["policy-string"] = tally.policy_lines;
  policy["policy-domain"] = domain;
  if (!tally.mx_patterns.empty()) policy["mx-host"] = tally.mx_patterns;
  ordered_json out{{"policy", std::move(policy)},
                   {"summary",
                    {{"total-successful-session-count", tally.successes},
                     {"total-failure-session-count", tally.failures}}}};
  if (tally.details.empty()) return out;
  ordered_json details = ordered_json::array();
  for (const TlsFailures& failure : tally.details) details.push_back(detailOf(failure));
  out["failure-details"] = std::move(details);
  return out;
}

int64_t secondsAt(Day day) {
  return std::chrono::duration_cast<std::chrono::seconds>(day.time_since_epoch()).count();
}

std::string submitterOf(const TlsReportFacts& facts) {
  return std::string(smtp::domainOf(facts.from));
}

// Section 5.1.
std::string fileNameOf(const TlsReportFacts& facts) {
  const int64_t begin = secondsAt(facts.entry.first);
  return fmt::format("{}!{}!{}!{}!{}.json.gz", submitterOf(facts), facts.entry.second, begin,
                     begin + 86'399, facts.id());
}

void appendBase64(std::string& out, std::string_view bytes) {
  const std::string text = net::base64Encode(bytes);
  for (size_t at = 0; at < text.size(); at += kBase64Columns) {
    out.append(text, at, kBase64Columns).append("\r\n");
  }
}

}  // namespace

Result<TlsReportWishes> readReportRecord(const std::vector<std::string>& texts) {
  const std::string* record = nullptr;
  for (const std::string& text : texts) {
    if (trimmed(std::string_view(text).substr(0, text.find(';'))) != kVersion) continue;
    if (record != nullptr) return fail(Errc::NotFound, "several records ask for TLS reports");
    record = &text;
  }
  if (record == nullptr) return fail(Errc::NotFound, "no record asks for TLS reports");
  TlsReportWishes wishes;
  forEachPart(*record, ';', [&](std::string_view part) {
    if (!part.starts_with("rua")) return;
    part = trimmed(part.substr(3));
    if (!part.starts_with('=')) return;
    forEachPart(part.substr(1), ',', [&](std::string_view uri) { takeReceiver(uri, wishes); });
  });
  if (wishes.mailboxes.empty() && wishes.urls.empty()) {
    return fail(Errc::Malformed, "the record names nobody who takes TLS reports");
  }
  return wishes;
}

std::string TlsReportFacts::id() const {
  const std::string what = hostname + "\n" + from + "\n" + entry.second;
  return formatDay(entry.first) + "-" +
         net::hexEncode(net::asView(net::sha256(what))).substr(0, 24);
}

std::string makeReportJson(const TlsReportFacts& facts, const TlsTallies& tallies) {
  const std::string day = formatDay(facts.entry.first);
  ordered_json policies = ordered_json::array();
  for (const auto& [type, tally] : tallies) {
    policies.push_back(policyOf(facts.entry.second, type, tally));
  }
  const ordered_json report{
      {"organization-name", facts.organization},
      {"date-range",
       {{"start-datetime", day + "T00:00:00Z"}, {"end-datetime", day + "T23:59:59Z"}}},
      {"contact-info", facts.contact},
      {"report-id", facts.id()},
      {"policies", std::move(policies)}};
  return report.dump(2, ' ', false, ordered_json::error_handler_t::replace);
}

std::string makeReportMail(const TlsReportFacts& facts, const std::string& to,
                           std::string_view compressed) {
  const std::string& domain = facts.entry.second;
  const std::string boundary = "=_sluice-" + facts.id();
  const std::string file = fileNameOf(facts);
  std::string out;
  const auto field = [&out](std::string_view name, const std::string& value) {
    appendField(out, name, cleanText(value, Charset::Ascii, kMaxFieldBytes));
  };
  field("From", "<" + facts.from + ">");
  field("To", "<" + to + ">");
  field("Subject", fmt::format("Report Domain: {} Submitter: {} Report-ID: <{}@{}>", domain,
                               submitterOf(facts), facts.id(), facts.hostname));
  field("Date", formatRfc5322(facts.now));
  field("Message-ID",
        fmt::format("<{}.{}@{}>", facts.id(),
                    net::hexEncode(net::asView(net::sha256(to))).substr(0, 8), facts.hostname));
  field("TLS-Report-Domain", domain);
  field("TLS-Report-Submitter", submitterOf(facts));
  field("TLS-Required", "No");  // section 5.3: what is reported must not keep the report back
  field("Auto-Submitted", "auto-generated");
  field("MIME-Version", "1.0");
  out.append(fmt::format(
      "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n boundary=\"{}\"\r\n", boundary));
  out.append(
      fmt::format("\r\n--{}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n", boundary));
  appendWrapped(out,
                fmt::format("This is an aggregate TLS report from {} about mail to {} on {} (UTC).",
                            cleanText(facts.organization, Charset::Ascii, kMaxFieldBytes), domain,
                            formatDay(facts.entry.first)),
                "");
  out.append(fmt::format(
      "\r\n--{}\r\nContent-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\n"
      "Content-Disposition: attachment;\r\n filename=\"{}\"\r\n\r\n",
      boundary, file));
  appendBase64(out, compressed);
  out.append(fmt::format("\r\n--{}--\r\n", boundary));
  return out;
}

}  // namespace sluice::relay
