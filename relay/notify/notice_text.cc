#include "relay/notify/notice_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "relay/notify/explain.h"
#include "relay/notify/original_part.h"

namespace sluice::relay {
namespace {

using Action = RecipientReport::Action;

constexpr size_t kMaxSaidBytes = 600;  // of a diagnostic
constexpr size_t kMaxSubjectBytes = 120;
constexpr size_t kMaxTailBytes = 1200;  // what stands behind the recipients

// Recipients to whom the same happened, in the order of the report.
struct Sharing {
  const RecipientReport* report;
  std::string remote;
  std::string said;
  std::vector<std::string> addresses;
};

std::string remoteOf(const RecipientReport& report) {
  std::string remote = cleanText(report.remote_mta, Charset::Ascii, 255);
  const std::string address = cleanText(report.remote_address, Charset::Ascii, 64);
  if (remote == address) remote.clear();  // a smart host without a name
  if (!address.empty()) remote += (remote.empty() ? "[" : " [") + address + "]";
  return remote;
}

std::vector<Sharing> sharedFates(const NoticeFacts& facts) {
  std::vector<Sharing> fates;
  std::unordered_map<std::string, size_t> index;
  for (const RecipientReport& report : facts.reports) {
    std::string remote = remoteOf(report);
    std::string said = cleanText(report.diagnostic, facts.charset(), kMaxSaidBytes);
    std::string key = fmt::format("{}\n{}\n{}\n{}{}{}", remote, said, statusOf(report),
                                  static_cast<int>(report.action), report.expired ? 'e' : '-',
                                  report.diagnostic_is_smtp ? 's' : '-');
    const auto [entry, added] = index.try_emplace(std::move(key), fates.size());
    if (added) fates.push_back({&report, std::move(remote), std::move(said), {}});
    fates[entry->second].addresses.push_back(facts.address(report));
  }
  return fates;
}

void appendParagraph(std::string& out, std::string_view text, std::string_view indent = "") {
  appendWrapped(out, text, indent);
  out.append("\r\n");
}

// When the last of the tries will be, for all recipients.
WallTime retriedUntil(const NoticeFacts& facts) {
  for (const RecipientReport& report : facts.reports) {
    if (report.will_retry_until) return *report.will_retry_until;
  }
  return facts.envelope.received_at + facts.settings.lifetime;
}

void appendOpening(std::string& out, const NoticeFacts& facts) {
  const std::string host = cleanText(facts.settings.hostname, Charset::Ascii, 255);
  appendParagraph(out, "This is the mail relay " + host + ".");
  const bool one = facts.reports.size() == 1;
  const std::string_view whom = one ? "the recipient below" : "the recipients below";
  switch (facts.kind) {
    case NoticeKind::Failure:
      appendParagraph(out, fmt::format("Your message could not be delivered to {}, and it will not "
                                       "be tried again.",
                                       whom));
      break;
    case NoticeKind::Delay:
      appendParagraph(out, fmt::format("Your message has not been delivered yet to {}.", whom));
      appendParagraph(out,
                      fmt::format("You need not do anything and should not send it again. It is "
                                  "kept, and tried again until {}. If it cannot be delivered by "
                                  "then, you will get another report.",
                                  formatRfc5322(retriedUntil(facts))));
      break;
    case NoticeKind::Success:
      appendParagraph(out,
                      fmt::format("This is the confirmation that you asked for, about {}.", whom));
      break;
  }
}

void appendWhy(std::string& out, const NoticeFacts& facts, const RecipientReport& report) {
  if (report.action == Action::Delivered) {
    appendParagraph(out, "The message was delivered.", "    ");
    return;
  }
  if (report.action == Action::Relayed || report.action == Action::Expanded) {
    appendParagraph(out,
                    "The message was handed on to a mail server that sends no confirmations. You "
                    "will hear of it again only if that server reports a failure.",
                    "    ");
    return;
  }
  const Explanation& why = explain(report.status, report.diagnostic);
  if (report.expired) {
    appendParagraph(out,
                    fmt::format("It was tried for {} and then given up. The last reason was:",
                                spanInWords(facts.settings.lifetime)),
                    "    ");
  }
  appendParagraph(out, why.what, "    ");
  // While it is still tried, only an administrator could help, and the sender is told to wait.
  const bool advise = facts.kind == NoticeKind::Failure || why.helper == Helper::Administrator;
  if (!why.advice.empty() && advise) {
    appendParagraph(out,
                    (why.helper == Helper::Administrator ? "For the mail administrator: " : "") +
                        std::string(why.advice),
                    "    ");
  }
}

void appendSaid(std::string& out, const Sharing& fate) {
  if (fate.said.empty()) return;
  if (!fate.report->diagnostic_is_smtp) {
    appendWrapped(out, "In the words of this relay:", "    ");
  } else if (fate.remote.empty()) {
    appendWrapped(out, "The remote server said:", "    ");
  } else {
    appendWrapped(out, "The server " + fate.remote + " said:", "    ");
  }
  appendParagraph(out, fate.said, "      ");
}

void appendFates(std::string& out, const NoticeFacts& facts, size_t max_bytes) {
  size_t unnamed = 0;
  for (const Sharing& fate : sharedFates(facts)) {
    const size_t before = out.size();
    size_t named = 0;
    for (const std::string& address : fate.addresses) {
      if (out.size() + address.size() + 2 * kMaxSaidBytes > max_bytes) break;
      out.append("  <").append(address).append(">\r\n");
      ++named;
    }
    unnamed += fate.addresses.size() - named;
    if (named == 0) {
      out.resize(before);
      continue;
    }
    out.append("\r\n");
    appendWhy(out, facts, *fate.report);
    appendSaid(out, fate);
  }
  if (unnamed > 0) {
    appendParagraph(
        out, fmt::format("There are {} more recipients; see the delivery status below.", unnamed));
  }
}

void appendMessageFacts(std::string& out, const NoticeFacts& facts) {
  const auto line = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) out.append(fmt::format("  {:<12}{}\r\n", name, value));
  };
  out.append("About your message:\r\n");
  line("Subject:",
       cleanText(headerField(facts.original, "Subject"), facts.charset(), kMaxSubjectBytes));
  line("Message-ID:", saneMessageId(facts.original));
  line("Accepted:", formatRfc5322(facts.envelope.received_at));
  line("Queue id:", facts.original_id.toString());
}

}  // namespace

std::string spanInWords(std::chrono::milliseconds span) {
  const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(span).count();
  const auto say = [](int64_t count, std::string_view unit) {
    return fmt::format("{} {}{}", count, unit, count == 1 ? "" : "s");
  };
  if (minutes >= 2 * 1440 || minutes == 1440) return say((minutes + 720) / 1440, "day");
  if (minutes >= 120 || minutes == 60) return say((minutes + 30) / 60, "hour");
  return minutes >= 1 ? say(minutes, "minute") : say(span.count() / 1000, "second");
}

std::string makeNoticeText(const NoticeFacts& facts, size_t max_bytes) {
  std::string out;
  appendOpening(out, facts);
  appendFates(out, facts, max_bytes > kMaxTailBytes ? max_bytes - kMaxTailBytes : 0);
  appendMessageFacts(out, facts);
  return out;
}

}  // namespace sluice::relay
