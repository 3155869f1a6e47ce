// How a clean run is measured: bit masks of 64 bytes, made with SSE2 where there is one.
#include "net/smtp/clean_run.h"

#include <bit>
#include <cstdint>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace sluice::smtp {
namespace {

constexpr size_t kBlockBytes = 64;

// Bit i stands for byte i of a block.
struct Masks {
  uint64_t cr = 0;
  uint64_t lf = 0;
  uint64_t nul = 0;
  uint64_t dot = 0;
  uint64_t high = 0;
};

#ifdef __SSE2__
Masks masksOf(const char* block) {
  const __m128i cr = _mm_set1_epi8('\r');
  const __m128i lf = _mm_set1_epi8('\n');
  const __m128i nul = _mm_setzero_si128();
  const __m128i dot = _mm_set1_epi8('.');
  const auto bits = [](__m128i compared, int shift) {
    return static_cast<uint64_t>(static_cast<uint32_t>(_mm_movemask_epi8(compared))) << shift;
  };
  Masks masks;
  for (int shift = 0; shift < 64; shift += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + shift));
    masks.cr |= bits(_mm_cmpeq_epi8(bytes, cr), shift);
    masks.lf |= bits(_mm_cmpeq_epi8(bytes, lf), shift);
    masks.nul |= bits(_mm_cmpeq_epi8(bytes, nul), shift);
    masks.dot |= bits(_mm_cmpeq_epi8(bytes, dot), shift);
    masks.high |= bits(bytes, shift);
  }
  return masks;
}
#else
Masks masksOf(const char* block) {
  Masks masks;
  for (size_t i = 0; i < kBlockBytes; ++i) {
    const uint64_t bit = uint64_t{1} << i;
    switch (block[i]) {
      case '\r':
        masks.cr |= bit;
        break;
      case '\n':
        masks.lf |= bit;
        break;
      case '\0':
        masks.nul |= bit;
        break;
      case '.':
        masks.dot |= bit;
        break;
      default:
        break;
    }
    if (static_cast<unsigned char>(block[i]) >= 0x80) masks.high |= bit;
  }
  return masks;
}
#endif

}  // namespace

CleanRun cleanRun(std::string_view text, bool dotted, bool at_line_start) {
  CleanRun run;
  uint64_t after_cr = 0;  // bit 0: the byte before the block is a CR
  uint64_t after_lf = at_line_start ? 1 : 0;
  char padded[kBlockBytes];
  while (run.bytes < text.size()) {
    const char* block = text.data() + run.bytes;
    const size_t length = std::min(text.size() - run.bytes, kBlockBytes);
    if (length < kBlockBytes) {
      std::memset(padded, 'x', sizeof padded);
      std::memcpy(padded, block, length);
      block = padded;
    }
    const Masks masks = masksOf(block);
    // An LF without CR before it, a CR without LF behind it (seen at the byte behind), and so on.
    uint64_t unclean = (masks.lf ^ (masks.cr << 1 | after_cr)) | masks.nul;
    if (dotted) unclean |= masks.dot & (masks.lf << 1 | after_lf);
    const size_t clean = std::min<size_t>(static_cast<size_t>(std::countr_zero(unclean)), length);
    const uint64_t seen = clean == 64 ? ~uint64_t{0} : (uint64_t{1} << clean) - 1;
    run.eight_bit |= (masks.high & seen) != 0;
    run.bytes += clean;
    if (clean < kBlockBytes) break;
    after_cr = masks.cr >> 63;
    after_lf = masks.lf >> 63;
  }
  // The LF of a last CR is yet to be seen.
  if (run.bytes > 0 && text[run.bytes - 1] == '\r') --run.bytes;
  return run;
}

}  // namespace sluice::smtp
