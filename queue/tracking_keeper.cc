// How tracking is kept within its time and its size: the oldest table files go, whole.
#include <rocksdb/convenience.h>

#include <algorithm>

#include "queue/codec.h"
#include "queue/record.h"
#include "queue/tracking.h"

namespace sluice::queue {
namespace {

constexpr std::chrono::seconds kEvery{5};

struct File {
  std::string name;
  uint64_t last_us = 0;
  uint64_t bytes = 0;
  int level = 0;
};

// The oldest first.
std::vector<File> filesOf(const Store::Reading& store, Family family) {
  rocksdb::ColumnFamilyMetaData data;
  store->GetColumnFamilyMetaData(store.family(family), &data);
  std::vector<File> files;
  for (const auto& level : data.levels) {
    for (const auto& file : level.files) {
      const uint64_t last_us = file.largestkey.size() >= 8 ? readU64(file.largestkey) : 0;
      files.push_back({file.name, last_us, file.size, level.level});
    }
  }
  std::sort(files.begin(), files.end(),
            [](const File& a, const File& b) { return a.last_us < b.last_us; });
  return files;
}

}  // namespace

TrackingImpl::TrackingImpl(const Store& store, const QueueOptions& options)
    : store_(store), options_(options) {
  keeper_ = std::thread([this] { keep(); });
}

TrackingImpl::~TrackingImpl() { stop(); }

void TrackingImpl::stop() {
  if (!keeper_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  keeper_.join();
}

void TrackingImpl::keep() {
  std::unique_lock lock(mutex_);
  do {
    lock.unlock();
    tidy();
    lock.lock();
  } while (!changed_.wait_for(lock, kEvery, [this] { return stopping_; }));
}

// What cannot be dropped now is tried again, so no error stops anything.
void TrackingImpl::dropUpTo(const Store::Reading& store, uint64_t key_us) {
  std::string end;
  appendU64(end, key_us);
  const rocksdb::Slice last = end;
  for (const Family family : {Family::Tracking, Family::TrackingIndex}) {
    rocksdb::DeleteFilesInRange(store.db(), store.family(family), nullptr, &last)
        .PermitUncheckedError();
    // RocksDB lets go of a file of the upper level when it is the oldest and none lies below.
    for (const File& file : filesOf(store, family)) {
      if (file.last_us > key_us || file.level != 0) break;
      if (!store->DeleteFile(file.name).ok()) break;
    }
  }
}

void TrackingImpl::tidy() {
  const auto reading = store_.read();
  if (!reading) return;
  const auto sum = [&] {
    uint64_t bytes = 0;
    for (const Family family : {Family::Tracking, Family::TrackingIndex})
      for (const File& file : filesOf(reading, family)) bytes += file.bytes;
    return bytes;
  };
  dropUpTo(reading, oldestKept());
  uint64_t bytes = sum();
  if (bytes > options_.tracking.max_bytes) {
    uint64_t drop_to = 0;
    for (const File& file : filesOf(reading, Family::Tracking)) {
      if (bytes <= options_.tracking.max_bytes) break;
      bytes -= file.bytes;
      drop_to = file.last_us;
    }
    dropUpTo(reading, drop_to);
    bytes = sum();
  }
  bytes_.store(bytes, std::memory_order_relaxed);
}

}  // namespace sluice::queue
