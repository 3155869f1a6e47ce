// Which answers and failures of DNS are still good? Least recently used ones leave first.
//
// On its shard's thread; time is told by the caller.
#pragma once

#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "net/dns/record_set.h"

namespace sluice::net {

class DnsCache {
 public:
  // At most this many entries, and kBytesPerEntry of memory for each on average.
  static constexpr size_t kBytesPerEntry = 1024;
  explicit DnsCache(size_t max_entries) : max_entries_(max_entries) {}

  // nullptr if there is none, or no longer.
  SharedRecordSet find(std::string_view name, DnsType type, SteadyTime now);
  void store(std::string_view name, DnsType type, SharedRecordSet set);
  void clear();
  size_t size() const { return index_.size(); }

  // One string for both, as maps want it.
  static std::string keyOf(std::string_view name, DnsType type);

 private:
  struct Entry {
    std::string key;
    SharedRecordSet set;
    size_t bytes = 0;
  };
  void erase(std::list<Entry>::iterator entry);

  size_t max_entries_;
  size_t bytes_ = 0;
  std::list<Entry> by_use_;                                                 // the latest first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> index_;  // views into by_use_
};

}  // namespace sluice::net
