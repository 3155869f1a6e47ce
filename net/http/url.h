// Paths and query strings of URLs, taken apart and put together (RFC 3986). No I/O.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/base/result.h"

namespace sluice::net {

using QueryParameters = std::vector<std::pair<std::string, std::string>>;

inline constexpr size_t kMaxPathSegments = 16;
inline constexpr size_t kMaxQueryParameters = 32;

// Percent-decoded once. With `plus_is_space`, as in a query string. Errors: Malformed (bad escape,
// or a control character, also an encoded one).
Result<std::string> percentDecode(std::string_view text, bool plus_is_space);
// Everything but unreserved characters is encoded, slashes too.
std::string percentEncode(std::string_view text);

// "/api/v1/queues/a%2Fb" is {"api", "v1", "queues", "a/b"}; "/" is {}. Split before it is decoded,
// and dot segments mean nothing: they match no route. Errors: Malformed, TooLarge.
Result<std::vector<std::string>> splitPath(std::string_view path);
// "a=1&b=x+y". Errors: Malformed, TooLarge.
Result<QueryParameters> splitQuery(std::string_view query);

}  // namespace sluice::net
