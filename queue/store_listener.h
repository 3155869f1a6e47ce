// What RocksDB says of itself, heard: how much of a torn log was cut off, and damage that its
// background work runs into; and the file in which it says it.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/listener.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "queue/queue.h"

namespace sluice::queue {

// LOG in the database's directory, with the one before it as LOG.old. RocksDB's own writer asserts
// that no write follows a failed one, and a failed flush writes one line more: on a full disk that
// ended the process. Here a line that cannot be written is left out.
class InfoLog final : public rocksdb::Logger {
 public:
  explicit InfoLog(const std::string& directory);
  ~InfoLog() override;
  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override;

 private:
  static constexpr size_t kMostBytes = 1 << 20;
  void begin();  // a new file
  const std::string path_;
  std::mutex mutex_;
  int fd_ = -1;
  size_t bytes_ = 0;
};

// Passes everything on to `target`, if there is one, and sums the bytes that recovery says it
// dropped.
class DropCounter final : public rocksdb::Logger {
 public:
  DropCounter(std::shared_ptr<rocksdb::Logger> target,
              std::shared_ptr<std::atomic<uint64_t>> dropped);
  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override;
  void Logv(const rocksdb::InfoLogLevel level, const char* format, va_list arguments) override;
  void Flush() override;

 private:
  void listen(const char* format, va_list arguments);
  std::shared_ptr<rocksdb::Logger> target_;
  std::shared_ptr<std::atomic<uint64_t>> dropped_;
};

// A compaction or flush that meets damaged bytes must not stop the taking of mail: the damage is
// told, the damaged file stays as it is, and whoever reads the message itself quarantines it.
class DamageListener final : public rocksdb::EventListener {
 public:
  explicit DamageListener(std::function<void(const StoreEvent&)> on_event)
      : on_event_(std::move(on_event)) {}
  void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* error) override;

 private:
  std::function<void(const StoreEvent&)> on_event_;
  std::atomic<int64_t> last_told_s_{0};
};

}  // namespace sluice::queue
