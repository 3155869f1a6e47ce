// What all TLS of the relay has in common: versions, suites, curves; and its errors in words.
//
// TLS 1.2 and 1.3 only (RFC 8996), forward secrecy and AEAD only, as RFC 9325 asks for.
#pragma once

#include <string>

#include "net/base/result.h"
#include "net/tls/tls_handles.h"

namespace sluice::net {

// Errors: NoSpace.
Result<SslContextHandle> makeSslContext();

// Why the last call of BoringSSL on this thread failed; takes the errors off its list. `connection`
// may be null; `otherwise` is said when the list is empty.
std::string takeTlsError(const ssl_st* connection, const char* otherwise);

}  // namespace sluice::net
