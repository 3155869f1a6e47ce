// The hash of a body in relaxed form, taken while the content streams by.
//
// RFC 6376 section 3.4.4: white space at the end of a line goes, other runs of it become one space,
// empty lines at the end of the body go; a body that is not empty ends in CRLF; an empty one is
// nothing. Any segmentation, no I/O, no memory beside this object.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "net/tls/sha256_stream.h"

namespace sluice::relay {

class BodyHash {
 public:
  void append(std::string_view body);
  net::Sha256Digest finish();  // once, at the end of the body

 private:
  void onBlank(char c);
  void flushOwed();
  void put(std::string_view bytes);

  net::Sha256Stream hash_;
  std::array<char, 2048> out_;  // on its way into the hash, which likes large pieces
  size_t out_bytes_ = 0;
  uint64_t newlines_owed_ = 0;  // line ends after which nothing came yet
  bool space_owed_ = false;     // white space after which nothing came yet on its line
  bool cr_owed_ = false;        // a CR whose LF is still to come
  bool any_ = false;            // the body is not empty
};

}  // namespace sluice::relay
