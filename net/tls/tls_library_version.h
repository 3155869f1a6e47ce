// The version of BoringSSL, for `sluice --version`; openssl/ stays in this folder.
#pragma once

#include <string>

namespace sluice::net {

// BoringSSL has no releases; its API number says how old it is.
std::string boringSslVersion();

}  // namespace sluice::net
