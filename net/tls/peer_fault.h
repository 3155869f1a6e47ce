// What is wrong with the certificate of a server, as far as it makes a difference to what is done
// or reported about it (RFC 8460 section 4.3).
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::net {

enum class PeerFault : uint8_t {
  None,
  Untrusted,  // of no authority that we know, or not fit to be believed
  Expired,    // or not valid yet
  WrongName,
  NoTlsaMatch,  // no TLSA record of the host names it
};

inline std::string_view toString(PeerFault fault) {
  switch (fault) {
    case PeerFault::None:
      return "nothing is wrong with it";
    case PeerFault::Untrusted:
      return "unable to build a chain to an authority that is believed";
    case PeerFault::Expired:
      return "it has expired or is not valid yet";
    case PeerFault::WrongName:
      return "it is not for this host's name";
    case PeerFault::NoTlsaMatch:
      return "no TLSA record of the host matches it (DANE)";
  }
  return "?";
}

}  // namespace sluice::net
