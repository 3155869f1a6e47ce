// Integers and strings as bytes: big-endian where keys must sort, varints where records must be
// short. Reading never passes the end of its input: a Reader that ran out stays failed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::queue {

inline void appendU16(std::string& out, uint16_t value) {
  const char bytes[] = {static_cast<char>(value >> 8), static_cast<char>(value)};
  out.append(bytes, sizeof bytes);
}

inline void appendU32(std::string& out, uint32_t value) {
  const char bytes[] = {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
                        static_cast<char>(value >> 8), static_cast<char>(value)};
  out.append(bytes, sizeof bytes);
}

inline void appendU64(std::string& out, uint64_t value) {
  appendU32(out, static_cast<uint32_t>(value >> 32));
  appendU32(out, static_cast<uint32_t>(value));
}

// The caller has checked that the bytes are there.
inline uint64_t readBigEndian(std::string_view bytes, size_t count) {
  uint64_t value = 0;
  for (size_t i = 0; i < count; ++i) value = (value << 8) | static_cast<uint8_t>(bytes[i]);
  return value;
}
inline uint16_t readU16(std::string_view bytes) {
  return static_cast<uint16_t>(readBigEndian(bytes, 2));
}
inline uint32_t readU32(std::string_view bytes) {
  return static_cast<uint32_t>(readBigEndian(bytes, 4));
}
inline uint64_t readU64(std::string_view bytes) { return readBigEndian(bytes, 8); }

inline void appendVarint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

inline void appendString(std::string& out, std::string_view text) {
  appendVarint(out, text.size());
  out.append(text);
}

// Takes values off the front of stored bytes. After the first that does not fit, ok() is false and
// all further values are zero or empty.
class RecordReader {
 public:
  explicit RecordReader(std::string_view bytes) : rest_(bytes) {}
  bool ok() const { return ok_; }
  bool atEnd() const { return ok_ && rest_.empty(); }
  size_t remaining() const { return rest_.size(); }

  uint8_t byte() {
    if (!need(1)) return 0;
    const auto value = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  uint64_t u64() {
    if (!need(8)) return 0;
    const uint64_t value = readU64(rest_);
    rest_.remove_prefix(8);
    return value;
  }
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint8_t next = byte();
      if (!ok_) return 0;
      if (shift == 63 && next > 1) break;
      value |= static_cast<uint64_t>(next & 0x7f) << shift;
      if (!(next & 0x80)) return value;
    }
    return failed();
  }
  // A varint that must not exceed `most`.
  uint64_t varint(uint64_t most) {
    const uint64_t value = varint();
    return value <= most ? value : failed();
  }
  std::string_view string() {
    const uint64_t size = varint();
    if (!need(size)) return {};
    const std::string_view text = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return text;
  }

 private:
  bool need(uint64_t bytes) {
    if (ok_ && bytes <= rest_.size()) return true;
    failed();
    return false;
  }
  uint64_t failed() {
    ok_ = false;
    rest_ = {};
    return 0;
  }
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace sluice::queue
