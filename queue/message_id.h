// Message ids: unique over restarts and nodes, and sorting by the time of acceptance.
//
// 16 bytes: microseconds since 1970 (8, big-endian), the shard lane that owns the message (1), a
// sequence number (3), and a number drawn at each start of the process (4). Written as 26 letters
// and digits (Crockford's base 32, lower case), which sort the same way.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "net/base/clock.h"
#include "net/base/result.h"

namespace sluice::queue {

class MessageId {
 public:
  static constexpr size_t kBytes = 16;
  MessageId() = default;
  static MessageId fromBytes(std::string_view sixteen_bytes);
  static Result<MessageId> parse(std::string_view text);

  WallTime acceptedAt() const;
  uint8_t lane() const { return bytes_[8]; }
  std::string toString() const;
  std::string_view bytes() const { return {reinterpret_cast<const char*>(bytes_.data()), kBytes}; }
  auto operator<=>(const MessageId&) const = default;

 private:
  friend class MessageIdSource;
  std::array<uint8_t, kBytes> bytes_{};
};

// Makes ids for one lane. One thread. Time never runs back between two ids of one source.
class MessageIdSource {
 public:
  MessageIdSource(uint8_t lane, uint32_t start_number, const Clock& clock);
  MessageId next();

 private:
  const Clock& clock_;
  uint8_t lane_;
  uint32_t start_number_;
  uint64_t last_us_ = 0;
  uint32_t sequence_ = 0;
};

}  // namespace sluice::queue

template <>
struct std::hash<sluice::queue::MessageId> {
  size_t operator()(const sluice::queue::MessageId& id) const noexcept {
    return std::hash<std::string_view>()(id.bytes());
  }
};
