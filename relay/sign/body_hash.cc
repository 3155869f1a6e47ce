#include "relay/sign/body_hash.h"

#include <algorithm>
#include <cstring>

namespace sluice::relay {
namespace {

constexpr auto makeBlanks() {
  std::array<bool, 256> blanks{};
  for (const unsigned char c : {' ', '\t', '\r', '\n'}) blanks[c] = true;
  return blanks;
}
constexpr auto kBlanks = makeBlanks();

size_t wordBytes(std::string_view text) {
  size_t at = 0;
  while (at < text.size() && !kBlanks[static_cast<unsigned char>(text[at])]) ++at;
  return at;
}

}  // namespace

void BodyHash::append(std::string_view body) {
  while (!body.empty()) {
    if (const size_t word = wordBytes(body); word > 0) {
      flushOwed();
      put(body.substr(0, word));
      body.remove_prefix(word);
      continue;
    }
    onBlank(body.front());
    body.remove_prefix(1);
  }
}

void BodyHash::onBlank(char c) {
  if (c == '\n') {
    ++newlines_owed_;
    space_owed_ = cr_owed_ = false;
    return;
  }
  if (cr_owed_) flushOwed();  // a CR alone is text
  if (c == '\r') {
    cr_owed_ = true;
  } else {
    space_owed_ = true;
  }
}

// What was held back because it might have been the end of its line, or of the body.
void BodyHash::flushOwed() {
  for (; newlines_owed_ > 0; --newlines_owed_) put("\r\n");
  if (space_owed_) put(" ");
  if (cr_owed_) put("\r");
  space_owed_ = cr_owed_ = false;
}

void BodyHash::put(std::string_view bytes) {
  any_ = true;
  while (!bytes.empty()) {
    if (out_bytes_ == out_.size()) {
      hash_.update({out_.data(), out_bytes_});
      out_bytes_ = 0;
    }
    const size_t count = std::min(bytes.size(), out_.size() - out_bytes_);
    std::memcpy(out_.data() + out_bytes_, bytes.data(), count);
    out_bytes_ += count;
    bytes.remove_prefix(count);
  }
}

net::Sha256Digest BodyHash::finish() {
  if (cr_owed_) flushOwed();
  if (any_) put("\r\n");
  hash_.update({out_.data(), out_bytes_});
  return hash_.digest();
}

}  // namespace sluice::relay
