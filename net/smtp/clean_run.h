// How far content can be copied as it is: the fast path of reading it.
//
// Most content holds nothing but text and CRLF. Those bytes are looked at 64 at a time and passed
// on in bulk; only what stands at the end of a clean run is looked at singly. No I/O, no state.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace sluice::smtp {

struct CleanRun {
  size_t bytes = 0;        // at the front of the text, ending before any CR that has no LF yet
  bool eight_bit = false;  // a byte above 127 is among them
};

// A run holds no NUL, no CR or LF but as CRLF, and, with `dotted`, no dot behind a CRLF.
// `at_line_start`: the text follows a CRLF.
CleanRun cleanRun(std::string_view text, bool dotted, bool at_line_start);

// Every way to measure one that this CPU knows, the quickest first, which cleanRun() goes; a test
// holds them against each other.
using MeasureCleanRun = CleanRun (*)(std::string_view text, bool dotted, bool at_line_start);
std::vector<MeasureCleanRun> cleanRunWays();

}  // namespace sluice::smtp
