// The text of `sluice --version`: "sluice X.Y.Z" and a line for each library.
#pragma once

#include <string>

namespace sluice::relay {

std::string versionText();

}  // namespace sluice::relay
