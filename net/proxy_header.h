// Who is the client behind a proxy? The header of the PROXY protocol, versions 1 and 2.
//
// No I/O and no clock; hostile bytes are expected. Form: HAProxy's proxy-protocol.txt, sections 2.1
// (a line of text) and 2.2 (binary). What is behind the addresses of version 2 (TLVs) is stepped
// over, and never kept.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "net/base/ip_address.h"
#include "net/base/result.h"

namespace sluice::net {

struct ProxyHeader {
  // The client's addresses, where they are known. Not of a connection that the proxy makes for
  // itself (LOCAL, such as a health check), nor of one that it cannot describe (UNKNOWN, UNSPEC,
  // another family than IPv4 and IPv6).
  bool known = false;
  Endpoint source;       // the client
  Endpoint destination;  // what it connected to
};

// One a connection.
class ProxyHeaderParser {
 public:
  // Takes bytes off the front of `input`, none of what is behind the header; gives the header once
  // it is whole, nothing while it is not. Errors: Malformed.
  Result<std::optional<ProxyHeader>> feed(std::string_view& input);

 private:
  Result<std::optional<ProxyHeader>> feedText(std::string_view& input);
  Result<std::optional<ProxyHeader>> feedBinary(std::string_view& input);
  bool take(std::string_view& input, size_t wanted);

  std::string kept_;  // what came of the header, without what is stepped over
  size_t to_skip_ = 0;
  std::optional<ProxyHeader> skipping_for_;  // read; only TLVs are still to come
};

}  // namespace sluice::net
