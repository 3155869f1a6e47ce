// How RocksDB's own log lines and background errors are understood.
#include "queue/store_listener.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "net/base/clock.h"

namespace sluice::queue {
namespace {

// RocksDB (db/db_impl/db_impl_open.cc, LogReporter) says "...: dropping %d bytes; ...".
constexpr const char* kDropping = "dropping ";
constexpr int64_t kTellEverySeconds = 60;

}  // namespace

InfoLog::InfoLog(const std::string& directory)
    : rocksdb::Logger(rocksdb::WARN_LEVEL), path_(directory + "/LOG") {
  begin();
}

InfoLog::~InfoLog() {
  if (fd_ >= 0) ::close(fd_);
}

void InfoLog::begin() {
  if (fd_ >= 0) ::close(fd_);
  ::rename(path_.c_str(), (path_ + ".old").c_str());
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  bytes_ = 0;
}

void InfoLog::Logv(const char* format, va_list arguments) {
  char line[1024];
  const std::string time = formatRfc3339(Clock::system().wall()) + " ";
  std::memcpy(line, time.data(), time.size());
  const int count =
      std::vsnprintf(line + time.size(), sizeof line - time.size(), format, arguments);
  size_t size = time.size() + static_cast<size_t>(std::max(count, 0));
  size = std::min(size, sizeof line - 1);
  if (line[size - 1] != '\n') line[size++] = '\n';
  const std::lock_guard lock(mutex_);
  if (bytes_ >= kMostBytes) begin();
  if (fd_ >= 0 && ::write(fd_, line, size) > 0) bytes_ += size;
}

DropCounter::DropCounter(std::shared_ptr<rocksdb::Logger> target,
                         std::shared_ptr<std::atomic<uint64_t>> dropped)
    : rocksdb::Logger(rocksdb::WARN_LEVEL),
      target_(std::move(target)),
      dropped_(std::move(dropped)) {}

void DropCounter::listen(const char* format, va_list arguments) {
  if (!std::strstr(format, kDropping)) return;
  char line[512];
  va_list copy;
  va_copy(copy, arguments);
  std::vsnprintf(line, sizeof line, format, copy);
  va_end(copy);
  if (const char* at = std::strstr(line, kDropping)) {
    const long long bytes = std::atoll(at + std::strlen(kDropping));
    if (bytes > 0) dropped_->fetch_add(static_cast<uint64_t>(bytes), std::memory_order_relaxed);
  }
}

void DropCounter::Logv(const char* format, va_list arguments) {
  listen(format, arguments);
  if (target_) target_->Logv(format, arguments);
}

void DropCounter::Logv(const rocksdb::InfoLogLevel level, const char* format, va_list arguments) {
  listen(format, arguments);
  if (target_) target_->Logv(level, format, arguments);
}

void DropCounter::Flush() {
  if (target_) target_->Flush();
}

void DamageListener::OnBackgroundError(rocksdb::BackgroundErrorReason reason,
                                       rocksdb::Status* error) {
  const bool background = reason == rocksdb::BackgroundErrorReason::kCompaction ||
                          reason == rocksdb::BackgroundErrorReason::kFlush;
  if (!background || !error->IsCorruption()) return;
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(
                       std::chrono::steady_clock::now().time_since_epoch())
                       .count();
  int64_t last = last_told_s_.load();
  if ((last == 0 || now - last >= kTellEverySeconds) &&
      last_told_s_.compare_exchange_strong(last, now) && on_event_)
    on_event_({StoreEvent::What::Damaged, "", error->ToString()});
  if (reason == rocksdb::BackgroundErrorReason::kCompaction) *error = rocksdb::Status::OK();
}

}  // namespace sluice::queue
