// The version of CivetWeb, for `sluice --version`; civetweb.h stays in this folder.
#pragma once

#include <string>

namespace sluice::net {

std::string civetWebVersion();

}  // namespace sluice::net
