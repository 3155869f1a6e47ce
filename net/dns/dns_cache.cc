// Which answers and failures of DNS are still good? Least recently used ones leave first.
#include "net/dns/dns_cache.h"

namespace sluice::net {

std::string DnsCache::keyOf(std::string_view name, DnsType type) {
  std::string key;
  key.reserve(name.size() + 1);
  key += static_cast<char>(type);
  key += name;
  return key;
}

SharedRecordSet DnsCache::find(std::string_view name, DnsType type, SteadyTime now) {
  const auto found = index_.find(keyOf(name, type));
  if (found == index_.end()) return nullptr;
  const auto entry = found->second;
  if (entry->set->valid_until <= now) {
    erase(entry);
    return nullptr;
  }
  by_use_.splice(by_use_.begin(), by_use_, entry);
  return entry->set;
}

void DnsCache::store(std::string_view name, DnsType type, SharedRecordSet set) {
  std::string key = keyOf(name, type);
  if (const auto found = index_.find(key); found != index_.end()) erase(found->second);
  const size_t bytes = sizeof(Entry) + key.capacity() + set->bytes();
  by_use_.push_front({std::move(key), std::move(set), bytes});
  index_.emplace(by_use_.front().key, by_use_.begin());
  bytes_ += bytes;
  while (index_.size() > max_entries_ || bytes_ > max_entries_ * kBytesPerEntry) {
    erase(std::prev(by_use_.end()));
  }
}

void DnsCache::clear() {
  index_.clear();
  by_use_.clear();
  bytes_ = 0;
}

void DnsCache::erase(std::list<Entry>::iterator entry) {
  bytes_ -= entry->bytes;
  index_.erase(entry->key);
  by_use_.erase(entry);
}

}  // namespace sluice::net
