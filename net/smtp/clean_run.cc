// How a clean run is measured: bit masks of 64 bytes, made with AVX2 where the CPU has it, else
// with SSE2, else a byte at a time.
#include "net/smtp/clean_run.h"

#include <bit>
#include <cstdint>
#include <cstring>

#ifdef __x86_64__
#include <immintrin.h>
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

#ifdef __x86_64__
// A quarter, and a half of a block. Written out four times and twice below: at -O2 a loop would
// keep its shifts.
inline void addQuarter(Masks& masks, const char* block, int at) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + at));
  const auto bits = [at](__m128i compared) {
    return static_cast<uint64_t>(static_cast<uint32_t>(_mm_movemask_epi8(compared))) << at;
  };
  masks.cr |= bits(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\r')));
  masks.lf |= bits(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\n')));
  masks.nul |= bits(_mm_cmpeq_epi8(bytes, _mm_setzero_si128()));
  masks.dot |= bits(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('.')));
  masks.high |= bits(bytes);
}

__attribute__((target("avx2"))) inline uint64_t joined(__m256i low, __m256i high) {
  return static_cast<uint64_t>(static_cast<uint32_t>(_mm256_movemask_epi8(high))) << 32 |
         static_cast<uint32_t>(_mm256_movemask_epi8(low));
}

struct ByQuarters {
  static Masks masksOf(const char* block) {
    Masks masks;
    addQuarter(masks, block, 0);
    addQuarter(masks, block, 16);
    addQuarter(masks, block, 32);
    addQuarter(masks, block, 48);
    return masks;
  }
};

struct ByHalves {
  __attribute__((target("avx2"))) static Masks masksOf(const char* block) {
    const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block));
    const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block + 32));
    const __m256i cr = _mm256_set1_epi8('\r');
    const __m256i lf = _mm256_set1_epi8('\n');
    const __m256i dot = _mm256_set1_epi8('.');
    const __m256i nul = _mm256_setzero_si256();
    Masks masks;
    masks.cr = joined(_mm256_cmpeq_epi8(low, cr), _mm256_cmpeq_epi8(high, cr));
    masks.lf = joined(_mm256_cmpeq_epi8(low, lf), _mm256_cmpeq_epi8(high, lf));
    masks.nul = joined(_mm256_cmpeq_epi8(low, nul), _mm256_cmpeq_epi8(high, nul));
    masks.dot = joined(_mm256_cmpeq_epi8(low, dot), _mm256_cmpeq_epi8(high, dot));
    masks.high = joined(low, high);
    return masks;
  }
};
#endif

struct ByBytes {
  static Masks masksOf(const char* block) {
    Masks masks;
    for (size_t i = 0; i < kBlockBytes; ++i) {
      const uint64_t bit = uint64_t{1} << i;
      if (block[i] == '\r') masks.cr |= bit;
      if (block[i] == '\n') masks.lf |= bit;
      if (block[i] == '\0') masks.nul |= bit;
      if (block[i] == '.') masks.dot |= bit;
      if (static_cast<unsigned char>(block[i]) >= 0x80) masks.high |= bit;
    }
    return masks;
  }
};

// Inlined, so that it is compiled for the CPU that its caller is for.
template <class Blocks>
[[gnu::always_inline]] inline CleanRun measure(std::string_view text, bool dotted,
                                               bool at_line_start) {
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
    const Masks masks = Blocks::masksOf(block);
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

#ifdef __x86_64__
CleanRun measureByQuarters(std::string_view text, bool dotted, bool at_line_start) {
  return measure<ByQuarters>(text, dotted, at_line_start);
}

__attribute__((target("avx2"))) CleanRun measureByHalves(std::string_view text, bool dotted,
                                                         bool at_line_start) {
  return measure<ByHalves>(text, dotted, at_line_start);
}
#endif

CleanRun measureByBytes(std::string_view text, bool dotted, bool at_line_start) {
  return measure<ByBytes>(text, dotted, at_line_start);
}

}  // namespace

std::vector<MeasureCleanRun> cleanRunWays() {
  std::vector<MeasureCleanRun> ways;
#ifdef __x86_64__
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2")) ways.push_back(measureByHalves);
  ways.push_back(measureByQuarters);
#endif
  ways.push_back(measureByBytes);
  return ways;
}

CleanRun cleanRun(std::string_view text, bool dotted, bool at_line_start) {
  static const MeasureCleanRun quickest = cleanRunWays().front();
  return quickest(text, dotted, at_line_start);
}

}  // namespace sluice::smtp
