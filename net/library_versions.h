// The version of libuv, for `sluice --version`; uv.h stays in this folder.
#pragma once

#include <string>

namespace sluice::net {

std::string libuvVersion();

}  // namespace sluice::net
