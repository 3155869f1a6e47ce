#include "queue/fast_crc32c.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>

namespace rocksdb::crc32c {
uint32_t Extend(uint32_t crc, const char* data, size_t size);  // ours, or RocksDB's
}

namespace sluice::queue {
namespace {

// A bit at a time, as RFC 3720 describes it.
uint32_t slowly(uint32_t crc, std::string_view text) {
  crc = ~crc;
  for (const char c : text) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc;
}

uint32_t sumOf(std::string_view text) {
  return rocksdb::crc32c::Extend(0, text.data(), text.size());
}

TEST(FastCrc32c, GivesTheSumsOfRfc3720) {
  ASSERT_FALSE(crc32cUsed().empty());
  EXPECT_EQ(sumOf(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(sumOf(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(sumOf("123456789"), 0xe3069283u);
  EXPECT_EQ(sumOf(""), 0u);
}

TEST(FastCrc32c, SumsAnyLengthAtAnyPlaceAndGoesOnFromASum) {
  std::mt19937 random(20261124);
  std::string bytes(10'000, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  for (int round = 0; round < 400; ++round) {
    const size_t from = random() % 100;
    const size_t length = round < 100 ? static_cast<size_t>(round) : random() % 9'000;
    const std::string_view text(bytes.data() + from, length);
    ASSERT_EQ(sumOf(text), slowly(0, text)) << length;
    const size_t middle = length == 0 ? 0 : random() % length;
    const uint32_t first = sumOf(text.substr(0, middle));
    ASSERT_EQ(rocksdb::crc32c::Extend(first, text.data() + middle, length - middle), sumOf(text));
  }
}

}  // namespace
}  // namespace sluice::queue
