// Which Sluice this is.
#pragma once

#include <string_view>

namespace sluice::relay {

std::string_view sluiceVersion();  // "0.1.0", as CMakeLists.txt says
std::string_view sluiceCommit();   // of the source, or "unknown"

}  // namespace sluice::relay
