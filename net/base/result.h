// Errors as values: Result<T>, the closed set of error codes, and two macros to pass errors on.
//
// A 4xx or 5xx from a peer is no error but a Reply (net/smtp/reply.h). What must not happen is an
// assertion. Exceptions of libraries are caught where the library is called.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace sluice {

// Switch over it without `default`, so that a new one is a compiler error where it matters.
enum class Errc {
  InvalidArgument,  // the caller's value is out of its domain
  Malformed,        // bytes that are not of the form they claim
  TooLarge,         // over a limit of ours
  NotFound,
  Exists,          // already there, or in use by another process
  Timeout,         // a deadline passed
  Closed,          // the far end ended the connection in order
  Reset,           // the connection broke
  Refused,         // the far end refused the connection
  Unreachable,     // no route, no address, host or network down
  Io,              // a file or a socket of ours failed
  NoSpace,         // disk or memory
  Corrupt,         // stored bytes fail their checksum or form
  Unsupported,     // a version or a feature we do not have
  Busy,            // try again later
  Cancelled,       // given up by our side, as at shutdown
  NoDomain,        // DNS: the name does not exist (NXDOMAIN)
  NoData,          // DNS: the name has no record of this type
  NullMx,          // RFC 7505: the domain takes no mail
  DnsFailed,       // DNS: SERVFAIL, REFUSED, timeout, nonsense: try again later
  LoopsToUs,       // the best MX host is ourselves
  AddressRefused,  // the only addresses are ones that we do not connect to
  TlsFailed,       // the TLS handshake failed, or the certificate is not what was demanded
  TlsMissing,      // TLS is demanded and not offered
  AuthFailed,      // the far end does not take our credentials, or has none to take
};

std::string_view toString(Errc code);

struct Error {
  Errc code;
  std::string detail;  // for people; may hold bytes from outside, so escape where it is written
};

template <class T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(Errc code, std::string detail) {
  return tl::unexpected<Error>(Error{code, std::move(detail)});
}

#define SLUICE_CONCAT_(a, b) a##b
#define SLUICE_CONCAT(a, b) SLUICE_CONCAT_(a, b)
// ASSIGN_OR_RETURN(const auto value, call()): value, or return the error.
#define ASSIGN_OR_RETURN(lhs, rexpr) ASSIGN_OR_RETURN_(SLUICE_CONCAT(result_, __LINE__), lhs, rexpr)
#define ASSIGN_OR_RETURN_(tmp, lhs, rexpr)                         \
  auto tmp = (rexpr);                                              \
  if (!tmp) return ::tl::unexpected<::sluice::Error>(tmp.error()); \
  lhs = std::move(*tmp)
// RETURN_IF_ERROR(call()): return the error if there is one.
#define RETURN_IF_ERROR(rexpr)                                               \
  do {                                                                       \
    auto result_ = (rexpr);                                                  \
    if (!result_) return ::tl::unexpected<::sluice::Error>(result_.error()); \
  } while (false)

}  // namespace sluice
