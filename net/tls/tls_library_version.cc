#include "net/tls/tls_library_version.h"

#include <openssl/base.h>

namespace sluice::net {

std::string boringSslVersion() { return "API " + std::to_string(BORINGSSL_API_VERSION); }

}  // namespace sluice::net
