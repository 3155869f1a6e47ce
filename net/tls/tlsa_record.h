// A TLSA record (RFC 6698 section 2.1) as DNS gives it: nothing in it is checked yet.
#pragma once

#include <cstdint>
#include <string>

namespace sluice::net {

struct TlsaRecord {
  uint8_t usage = 0;
  uint8_t selector = 0;
  uint8_t matching = 0;
  std::string data;  // bytes
  bool operator==(const TlsaRecord&) const = default;
};

}  // namespace sluice::net
