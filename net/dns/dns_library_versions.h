// The versions of c-ares and libidn2, for `sluice --version`; ares.h stays in this folder.
#pragma once

#include <string>

namespace sluice::net {

std::string caresVersion();
std::string idn2Version();

}  // namespace sluice::net
