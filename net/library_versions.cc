#include "net/library_versions.h"

#include <uv.h>

namespace sluice::net {

std::string libuvVersion() { return uv_version_string(); }

}  // namespace sluice::net
