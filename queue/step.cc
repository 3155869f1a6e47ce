// How a step's writes are kept between the shard and the committer.
#include "queue/step.h"

#include <cstring>

namespace sluice::queue {
namespace {

constexpr uint8_t kRemove = 0;
constexpr uint8_t kPut = 1;
constexpr uint8_t kPutSlices = 2;
// what (1), family (1), key size (2), then two numbers of 4 in the machine's order.
constexpr size_t kHeadBytes = 12;

}  // namespace

void Ops::head(uint8_t what, Family family, std::string_view key, size_t a, size_t b) {
  char bytes[kHeadBytes];
  const auto key_bytes = static_cast<uint16_t>(key.size());
  const auto first = static_cast<uint32_t>(a);
  const auto second = static_cast<uint32_t>(b);
  bytes[0] = static_cast<char>(what);
  bytes[1] = static_cast<char>(family);
  std::memcpy(bytes + 2, &key_bytes, 2);
  std::memcpy(bytes + 4, &first, 4);
  std::memcpy(bytes + 8, &second, 4);
  encoded_.append(bytes, kHeadBytes);
  encoded_.append(key);
  ++count_;
}

void Ops::put(Family family, std::string_view key, std::string_view value) {
  head(kPut, family, key, value.size(), 0);
  encoded_.append(value);
}

void Ops::put(Family family, std::string_view key, std::vector<Slice> slices) {
  head(kPutSlices, family, key, slices_.size(), slices.size());
  for (Slice& slice : slices) {
    slice_bytes_ += slice.bytes.size();
    slices_.push_back(std::move(slice));
  }
}

void Ops::remove(Family family, std::string_view key) { head(kRemove, family, key, 0, 0); }

Ops::Op Ops::next(size_t& at) const {
  const char* bytes = encoded_.data() + at;
  uint16_t key_bytes;
  uint32_t first, second;
  std::memcpy(&key_bytes, bytes + 2, 2);
  std::memcpy(&first, bytes + 4, 4);
  std::memcpy(&second, bytes + 8, 4);
  Op op;
  op.put = bytes[0] != kRemove;
  op.family = static_cast<Family>(bytes[1]);
  op.key = {bytes + kHeadBytes, key_bytes};
  at += kHeadBytes + key_bytes;
  if (bytes[0] == kPut) {
    op.value = {encoded_.data() + at, first};
    at += first;
  } else if (bytes[0] == kPutSlices) {
    op.slices_from = first;
    op.slices_count = second;
  }
  return op;
}

}  // namespace sluice::queue
