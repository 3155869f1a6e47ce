// Which messages does a request mean? Query parameters and JSON bodies read strictly: a name that
// is not known is an error, because a filter that is overlooked would choose too much. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "net/base/result.h"
#include "net/http/url.h"
#include "relay/admin/message_choice.h"

namespace sluice::relay {

inline constexpr size_t kDefaultPage = 100;
inline constexpr size_t kMaxPage = 1000;

struct ListRequest {
  MessageChoice filter;
  std::optional<queue::MessageId> after;
  size_t limit = kDefaultPage;
};

struct ActionRequest {
  MessageChoice filter;
  bool all = false;             // said so
  std::optional<size_t> limit;  // at most so many messages
  bool dry_run = false;         // only count
  std::string connector;        // to redirect to
  std::string by;               // who asks for it, as they say; for the log
  bool choosesAll() const;      // no id and no filter
};

// The filters of docs/api.md, limit and cursor. Errors: InvalidArgument.
Result<ListRequest> readListRequest(const net::QueryParameters& query);
// {"ids": […]}, or filters as above without cursor, or {"all": true}. Empty is {}. Errors:
// InvalidArgument, Malformed.
Result<ActionRequest> readActionRequest(std::string_view body);

// "30s" "4h" "2d", or seconds without a unit.
Result<std::chrono::seconds> readAge(std::string_view text);
Result<queue::RecipientState> readState(std::string_view text);

}  // namespace sluice::relay
