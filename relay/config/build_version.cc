#include "relay/config/build_version.h"

// The build may set both; a plain compilation of this file must do without.
#ifndef SLUICE_VERSION
#define SLUICE_VERSION "0.1.0"
#endif
#ifndef SLUICE_COMMIT
#define SLUICE_COMMIT "unknown"
#endif

namespace sluice::relay {

std::string_view sluiceVersion() { return SLUICE_VERSION; }
std::string_view sluiceCommit() { return SLUICE_COMMIT; }

}  // namespace sluice::relay
