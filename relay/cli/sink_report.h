// Failure reports (RFC 3464) about messages of `sluice load`: mail that is not lost but reported.
//
// Pure. Reads only as much of a report as it takes to know the message and the recipients.
#pragma once

#include <string_view>
#include <vector>

namespace sluice::relay {

struct FailureReport {
  std::string_view id;  // X-Sluice-Load-Id of the message; empty: no such report
  std::vector<std::string_view> recipients;  // that failed; views of the content
};

FailureReport readFailureReport(std::string_view content);

}  // namespace sluice::relay
