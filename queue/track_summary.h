// Which names may be found in a run of stored events? A Bloom filter over their fingerprints, so
// that a search reads only the runs that can hold what it looks for.
//
// Pure. With kMostEvents events of three or four names each, one run in some thousands is read in
// vain.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sluice::queue {

class TrackSummary {
 public:
  static constexpr size_t kBits = 131'072;
  static constexpr size_t kMostEntries = 8'000;   // fingerprints of one run, about
  static constexpr size_t kMostBytes = 2u << 20;  // of its events, about
  static constexpr unsigned kProbes = 6;

  TrackSummary() : bits_(kBits / 8, '\0') {}
  void add(std::span<const uint64_t> fingerprints);
  size_t entries() const { return entries_; }
  void clear();

  // The run reaches from key time `from_us` to the time in the summary's own key.
  std::string encode(uint64_t from_us) const;

 private:
  std::string bits_;
  size_t entries_ = 0;
};

// A stored summary, in place.
struct StoredSummary {
  uint64_t from_us = 0;
  std::string_view bits;
  // Nothing if the bytes are none.
  static std::optional<StoredSummary> read(std::string_view stored);
  bool mayHold(uint64_t fingerprint) const;
};

}  // namespace sluice::queue
