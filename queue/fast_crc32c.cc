// How the replacement sums: eight bytes an instruction, in three interleaved streams, since one
// instruction takes three cycles and a new one can begin in each.
#include "queue/fast_crc32c.h"

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#include <dlfcn.h>
#include <nmmintrin.h>

#include <array>
#include <cstdint>
#include <cstring>

namespace rocksdb::crc32c {
// Declared in RocksDB's util/crc32c.h, which is not installed.
uint32_t Extend(uint32_t crc, const char* data, size_t size);
}  // namespace rocksdb::crc32c

namespace sluice::queue {
namespace {

using Sum = uint32_t (*)(uint32_t crc, const char* data, size_t size);

constexpr uint32_t kPolynomial = 0x82f63b78;  // Castagnoli's, bits reversed
constexpr size_t kStreamBytes = 256;          // of each of the three streams
constexpr size_t kRoundBytes = 3 * kStreamBytes;

// What `count` zero bytes make of a sum, as four tables, one for each of its bytes: sums are
// linear.
using Shift = std::array<std::array<uint32_t, 256>, 4>;

Shift makeShift(size_t count) {
  Shift shift{};
  std::array<uint32_t, 32> of_bit{};
  for (size_t bit = 0; bit < 32; ++bit) {
    uint32_t sum = uint32_t{1} << bit;
    for (size_t step = 0; step < 8 * count; ++step) sum = (sum >> 1) ^ (sum & 1 ? kPolynomial : 0);
    of_bit[bit] = sum;
  }
  for (size_t byte = 0; byte < 4; ++byte)
    for (size_t value = 0; value < 256; ++value)
      for (size_t bit = 0; bit < 8; ++bit)
        if (value >> bit & 1) shift[byte][value] ^= of_bit[8 * byte + bit];
  return shift;
}

uint32_t shifted(const Shift& shift, uint32_t sum) {
  return shift[0][sum & 0xff] ^ shift[1][sum >> 8 & 0xff] ^ shift[2][sum >> 16 & 0xff] ^
         shift[3][sum >> 24];
}

uint64_t eightBytesAt(const char* data) {
  uint64_t bytes;
  std::memcpy(&bytes, data, sizeof bytes);
  return bytes;
}

__attribute__((target("sse4.2"))) uint32_t sumByCpu(uint32_t crc, const char* data, size_t size) {
  static const Shift one_stream = makeShift(kStreamBytes);
  static const Shift two_streams = makeShift(2 * kStreamBytes);
  uint64_t sum = crc ^ 0xffffffffu;
  for (; size >= kRoundBytes; data += kRoundBytes, size -= kRoundBytes) {
    uint64_t second = 0, third = 0;
    for (size_t at = 0; at < kStreamBytes; at += 8) {
      sum = _mm_crc32_u64(sum, eightBytesAt(data + at));
      second = _mm_crc32_u64(second, eightBytesAt(data + kStreamBytes + at));
      third = _mm_crc32_u64(third, eightBytesAt(data + 2 * kStreamBytes + at));
    }
    sum = shifted(two_streams, static_cast<uint32_t>(sum)) ^
          shifted(one_stream, static_cast<uint32_t>(second)) ^ third;
  }
  for (; size >= 8; data += 8, size -= 8) sum = _mm_crc32_u64(sum, eightBytesAt(data));
  auto rest = static_cast<uint32_t>(sum);
  for (; size > 0; ++data, --size) rest = _mm_crc32_u8(rest, static_cast<uint8_t>(*data));
  return rest ^ 0xffffffffu;
}

Sum choose() {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("sse4.2")) return sumByCpu;
  return reinterpret_cast<Sum>(
      dlsym(RTLD_NEXT, "_ZN7rocksdb6crc32c6ExtendEjPKcm"));  // it is linked, so it is there
}

Sum chosen() {
  static const Sum sum = choose();
  return sum;
}

}  // namespace

std::string_view crc32cUsed() { return chosen() == sumByCpu ? "cpu" : "library"; }

}  // namespace sluice::queue

uint32_t rocksdb::crc32c::Extend(uint32_t crc, const char* data, size_t size) {
  return sluice::queue::chosen()(crc, data, size);
}

#else
namespace sluice::queue {
std::string_view crc32cUsed() { return "library"; }
}  // namespace sluice::queue
#endif
