// How are bytes made smaller for those who want them so (RFC 1952: gzip)?
#pragma once

#include <string>
#include <string_view>

#include "net/base/result.h"

namespace sluice::relay {

// A whole gzip file. Errors: NoSpace.
Result<std::string> gzip(std::string_view bytes);

}  // namespace sluice::relay
