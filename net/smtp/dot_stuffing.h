// Content on its way out by DATA: transparency and the end of data (RFC 5321 section 4.5.2).
//
// Content is stored clean (every line ends in CRLF, no bare CR or LF), unstuffed. Slices are passed
// on as they are, split only before a line that begins with a dot, so nothing is copied.
#pragma once

#include <string_view>

#include "net/base/bytes.h"

namespace sluice::smtp {

class DotStuffer {
 public:
  // Calls `emit(Slice)` for stored bytes and `emit(std::string_view)` for what is put between.
  template <class Emit>
  void pass(const Slice& slice, Emit&& emit) {
    std::string_view rest = slice.bytes;
    if (rest.empty()) return;
    if (at_line_start_ && rest.front() == '.') emit(std::string_view("."));
    for (size_t from = 0;;) {
      const size_t at = rest.find(std::string_view("\n."), from);
      if (at == std::string_view::npos) break;
      emit(Slice{slice.block, rest.substr(0, at + 1)});
      emit(std::string_view("."));
      rest.remove_prefix(at + 1);
      from = 1;  // the dot itself
    }
    emit(Slice{slice.block, rest});
    at_line_start_ = rest.back() == '\n';
  }

  // What ends the data: content that does not end in CRLF gets one first.
  std::string_view ending() const { return at_line_start_ ? ".\r\n" : "\r\n.\r\n"; }

 private:
  bool at_line_start_ = true;
};

}  // namespace sluice::smtp
