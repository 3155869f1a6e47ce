#include "net/base/result.h"

namespace sluice {

std::string_view toString(Errc code) {
  switch (code) {
    case Errc::InvalidArgument:
      return "invalid argument";
    case Errc::Malformed:
      return "malformed";
    case Errc::TooLarge:
      return "too large";
    case Errc::NotFound:
      return "not found";
    case Errc::Exists:
      return "already there";
    case Errc::Timeout:
      return "timed out";
    case Errc::Closed:
      return "connection closed";
    case Errc::Reset:
      return "connection lost";
    case Errc::Refused:
      return "connection refused";
    case Errc::Unreachable:
      return "unreachable";
    case Errc::Io:
      return "input/output error";
    case Errc::NoSpace:
      return "no space";
    case Errc::Corrupt:
      return "corrupt";
    case Errc::Unsupported:
      return "unsupported";
    case Errc::Busy:
      return "busy";
    case Errc::Cancelled:
      return "cancelled";
    case Errc::NoDomain:
      return "no such domain";
    case Errc::NoData:
      return "no such record";
    case Errc::NullMx:
      return "domain takes no mail";
    case Errc::DnsFailed:
      return "name lookup failed";
    case Errc::LoopsToUs:
      return "mail loops back to us";
    case Errc::AddressRefused:
      return "address refused";
    case Errc::TlsFailed:
      return "TLS failed";
    case Errc::TlsMissing:
      return "TLS missing";
    case Errc::AuthFailed:
      return "authentication failed";
  }
  return "unknown";
}

}  // namespace sluice
