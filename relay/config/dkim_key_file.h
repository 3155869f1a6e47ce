// The private key that a [[dkim]] section names: read, and judged.
//
// Reads a file: at the start, at a reload, for `sluice check` and `sluice dkim`; never on a loop.
#pragma once

#include <memory>
#include <string>

#include "net/base/result.h"
#include "net/tls/signing_key.h"

namespace sluice::relay {

// RFC 8301 section 3.2: a signer must not use less than 1024 bits and should use 2048 or more;
// verifiers may take what is below for no signature at all.
inline constexpr unsigned kLeastDkimBits = 2048;

// Errors: Io, TooLarge, Malformed, Unsupported, InvalidArgument (an RSA key that is too short).
Result<std::shared_ptr<const net::SigningKey>> loadDkimKey(const std::string& path);

}  // namespace sluice::relay
