#include "relay/cli/sink_report.h"

#include "relay/cli/load_identity.h"

namespace sluice::relay {
namespace {

constexpr std::string_view kGroupEnd = "\r\n\r\n";

// "rfc822; user@example.net" without its type.
std::string_view addressOf(std::string_view value) {
  const size_t semicolon = value.find(';');
  if (semicolon == std::string_view::npos) return {};
  value.remove_prefix(semicolon + 1);
  while (value.starts_with(' ')) value.remove_prefix(1);
  return value;
}

}  // namespace

FailureReport readFailureReport(std::string_view content) {
  FailureReport report;
  const size_t header_end = content.find(kGroupEnd);
  if (header_end == std::string_view::npos ||
      content.substr(0, header_end).find("multipart/report") == std::string_view::npos) {
    return report;
  }
  std::string_view rest = content.substr(header_end + kGroupEnd.size());
  report.id = lineField(rest, kLoadIdField);
  if (report.id.empty()) return report;
  // Fields of one recipient stand together, parted by empty lines.
  while (!rest.empty()) {
    const size_t end = rest.find(kGroupEnd);
    const std::string_view group = rest.substr(0, end);
    const std::string_view recipient = addressOf(lineField(group, "Final-Recipient"));
    if (!recipient.empty() && lineField(group, "Action") == "failed") {
      report.recipients.push_back(recipient);
    }
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + kGroupEnd.size());
  }
  return report;
}

}  // namespace sluice::relay
