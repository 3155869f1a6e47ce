#include "net/dns/dns_library_versions.h"

#include <ares.h>
#include <idn2.h>

namespace sluice::net {

std::string caresVersion() { return ares_version(nullptr); }
std::string idn2Version() { return idn2_check_version(nullptr); }

}  // namespace sluice::net
