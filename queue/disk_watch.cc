// How the disk is looked at.
#include "queue/disk_watch.h"

#include <sys/statvfs.h>

#include <chrono>

namespace sluice::queue {
namespace {
constexpr std::chrono::seconds kEvery{1};
}

DiskWatch::DiskWatch(QueueContext& context) : context_(context) {
  look();
  thread_ = std::thread([this] { run(); });
}

DiskWatch::~DiskWatch() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void DiskWatch::run() {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, kEvery, [this] { return stopping_; })) {
    lock.unlock();
    look();
    lock.lock();
  }
}

void DiskWatch::look() {
  QueueMetrics& metrics = *context_.metrics;
  struct statvfs disk {};
  if (::statvfs(context_.options.directory.c_str(), &disk) == 0) {
    // No file can be made without an inode, however many bytes are free.
    const bool inodes = disk.f_files == 0 || disk.f_favail > 0;
    const uint64_t free = inodes ? static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize : 0;
    context_.disk_free_bytes.store(free, std::memory_order_relaxed);
    metrics.disk_free_bytes.set(static_cast<int64_t>(free));
  }
  metrics.content_bytes.set(static_cast<int64_t>(context_.budget.bytes()));
  metrics.quarantined_messages.set(static_cast<int64_t>(context_.quarantine.count()));
  const auto reading = context_.store->read();
  if (!reading) return;
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> first(
      reading->NewIterator(options, reading.family(Family::Envelope)));
  first->SeekToFirst();
  if (!first->Valid()) return metrics.oldest_us.set(0);
  const auto id = MessageId::fromBytes(viewOf(first->key()));
  metrics.oldest_us.set(static_cast<int64_t>(toMicroseconds(id.acceptedAt())));
}

}  // namespace sluice::queue
