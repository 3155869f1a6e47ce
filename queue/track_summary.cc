// How the filter is filled and asked.
#include "queue/track_summary.h"

#include "queue/codec.h"

namespace sluice::queue {
namespace {

constexpr char kVersion = 1;
constexpr size_t kHeadBytes = 9;

// Calls each(byte, mask) for the bits of one fingerprint (double hashing). Stored: never changed.
template <class Each>
void probe(uint64_t fingerprint, Each each) {
  const auto step = static_cast<uint32_t>(fingerprint >> 32) | 1u;
  auto at = static_cast<uint32_t>(fingerprint);
  for (unsigned i = 0; i < TrackSummary::kProbes; ++i, at += step) {
    const uint32_t bit = (at ^ (at >> 15)) % TrackSummary::kBits;
    each(bit / 8, static_cast<uint8_t>(1u << (bit % 8)));
  }
}

}  // namespace

void TrackSummary::add(std::span<const uint64_t> fingerprints) {
  for (const uint64_t one : fingerprints)
    probe(one, [this](size_t byte, uint8_t mask) {
      bits_[byte] = static_cast<char>(static_cast<uint8_t>(bits_[byte]) | mask);
    });
  entries_ += fingerprints.size();
}

void TrackSummary::clear() {
  bits_.assign(kBits / 8, '\0');
  entries_ = 0;
}

std::string TrackSummary::encode(uint64_t from_us) const {
  std::string out;
  out.reserve(kHeadBytes + bits_.size());
  out.push_back(kVersion);
  appendU64(out, from_us);
  out += bits_;
  return out;
}

std::optional<StoredSummary> StoredSummary::read(std::string_view stored) {
  if (stored.size() != kHeadBytes + TrackSummary::kBits / 8 || stored[0] != kVersion)
    return std::nullopt;
  return StoredSummary{readU64(stored.substr(1, 8)), stored.substr(kHeadBytes)};
}

bool StoredSummary::mayHold(uint64_t fingerprint) const {
  bool all = true;
  probe(fingerprint, [&](size_t byte, uint8_t mask) {
    all = all && (static_cast<uint8_t>(bits[byte]) & mask) != 0;
  });
  return all;
}

}  // namespace sluice::queue
