// Sums RocksDB's records with the CPU's own instruction where RocksDB was built without it.
//
// Distributions build RocksDB for the oldest CPU of an architecture; its choice of a CRC32C is made
// by the compiler, not at the start, so that each byte of mail is summed by tables: a twelfth of
// all instructions a message costs. The function that does it has a name of its own in the shared
// library, and a definition in the program comes before the library's (ELF symbol interposition, as
// an allocator replaces malloc). Values are those of RFC 3720 appendix B.4, the same as the
// library's, whose own function serves CPUs without the instruction.
#pragma once

#include <string_view>

namespace sluice::queue {

// "cpu", or "library" where RocksDB's own function is in use. Referring to it links the
// replacement.
std::string_view crc32cUsed();

}  // namespace sluice::queue
