// How message ids are made, written and read.
#include "queue/message_id.h"

#include <algorithm>
#include <cstring>

#include "queue/codec.h"

namespace sluice::queue {
namespace {

constexpr std::string_view kAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";  // Crockford's base 32
constexpr size_t kLetters = 26;  // 130 bits: the first letter carries only 3

int digitOf(char letter) {
  if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  const size_t at = kAlphabet.find(letter);
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

}  // namespace

MessageId MessageId::fromBytes(std::string_view sixteen_bytes) {
  MessageId id;
  if (sixteen_bytes.size() == kBytes) std::memcpy(id.bytes_.data(), sixteen_bytes.data(), kBytes);
  return id;
}

Result<MessageId> MessageId::parse(std::string_view text) {
  if (text.size() != kLetters) return fail(Errc::Malformed, "a message id has 26 letters");
  MessageId id;
  uint32_t bits = 0;
  int have = -2;  // the two highest of the 130 bits are not ours
  size_t out = 0;
  for (const char letter : text) {
    const int digit = digitOf(letter);
    if (digit < 0) return fail(Errc::Malformed, "not a letter of a message id");
    if (have < 0 && digit > 7) return fail(Errc::Malformed, "no such message id");
    bits = (bits << 5) | static_cast<uint32_t>(digit);
    have += 5;
    if (have >= 8) {
      have -= 8;
      id.bytes_[out++] = static_cast<uint8_t>(bits >> have);
      bits &= (1u << have) - 1;
    }
  }
  return id;
}

WallTime MessageId::acceptedAt() const {
  return WallTime(std::chrono::microseconds(static_cast<int64_t>(readU64(bytes()))));
}

std::string MessageId::toString() const {
  std::string text(kLetters, '0');
  uint32_t bits = 0;
  int have = 2;
  size_t at = 0;
  for (const uint8_t byte : bytes_) {
    bits = (bits << 8) | byte;
    have += 8;
    while (have >= 5) {
      have -= 5;
      text[at++] = kAlphabet[(bits >> have) & 31];
    }
    bits &= (1u << have) - 1;
  }
  return text;
}

MessageIdSource::MessageIdSource(uint8_t lane, uint32_t start_number, const Clock& clock)
    : clock_(clock), lane_(lane), start_number_(start_number) {}

MessageId MessageIdSource::next() {
  const auto wall = std::max<int64_t>(0, clock_.wall().time_since_epoch().count());
  last_us_ = std::max(last_us_, static_cast<uint64_t>(wall));
  sequence_ = (sequence_ + 1) & 0xffffff;
  if (sequence_ == 0)
    ++last_us_;  // sixteen million ids later the sequence may repeat, the pair not
  std::string bytes;
  appendU64(bytes, last_us_);
  bytes.push_back(static_cast<char>(lane_));
  bytes.push_back(static_cast<char>(sequence_ >> 16));
  bytes.push_back(static_cast<char>(sequence_ >> 8));
  bytes.push_back(static_cast<char>(sequence_));
  appendU32(bytes, start_number_);
  return MessageId::fromBytes(bytes);
}

}  // namespace sluice::queue
