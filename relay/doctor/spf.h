// Would mail from one of our addresses pass a domain's SPF record (RFC 7208)?
//
// Enough to answer that for addresses of our own: all, a, mx, ip4, ip6, include and redirect, the
// limits of section 4.6.4. What depends on the message (exists, ptr, macros) is not judged: such a
// mechanism is passed over and said to be. Records are hostile.
#pragma once

#include <string>
#include <string_view>

#include "relay/doctor/name_service.h"

namespace sluice::relay {

enum class SpfResult : uint8_t { None, Neutral, Pass, Fail, SoftFail, TempError, PermError };

std::string_view toString(SpfResult result);

struct SpfVerdict {
  SpfResult result = SpfResult::None;
  std::string why;      // of an error, in words
  int lookups = 0;      // terms that cost the reader a question, of the 10 that are allowed
  bool unsure = false;  // a mechanism that depends on the message was passed over
};

inline constexpr int kMaxSpfLookups = 10;     // section 4.6.4
inline constexpr int kMaxSpfVoidLookups = 2;  // section 4.6.4
inline constexpr size_t kMaxSpfMxNames = 10;  // section 4.6.4

SpfVerdict checkSpf(NameService& names, const IpAddress& address, const std::string& domain);

}  // namespace sluice::relay
