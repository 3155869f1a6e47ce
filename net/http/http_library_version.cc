#include "net/http/http_library_version.h"

#include <civetweb.h>

namespace sluice::net {

std::string civetWebVersion() { return mg_version(); }

}  // namespace sluice::net
