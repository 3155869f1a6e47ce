// A file system whose syncs and appends can be made to fail, for one time or until further notice,
// and can be made to wait.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

namespace sluice::queue::test {

struct Faults {
  std::atomic<int> failing_log_syncs{0};  // how many more fail; -1: all
  std::atomic<int> failing_log_appends{0};
  std::atomic<bool> no_space{false};  // the failure is ENOSPC, and files cannot be made
  std::atomic<bool> stuck{false};     // log syncs wait while this is set
  std::atomic<int> log_syncs{0};
  std::atomic<int> syncs_after_failure_of_same_file{0};

  static bool use(std::atomic<int>& left) {
    const int now = left.load();
    if (now < 0) return true;
    if (now == 0) return false;
    --left;
    return true;
  }
  rocksdb::IOStatus failure() const {
    return no_space ? rocksdb::IOStatus::NoSpace("injected")
                    : rocksdb::IOStatus::IOError("injected");
  }
};

class FailingLog final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  FailingLog(std::unique_ptr<rocksdb::FSWritableFile> file, Faults& faults)
      : FSWritableFileOwnerWrapper(std::move(file)), faults_(faults) {}

  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
    if (Faults::use(faults_.failing_log_appends)) return faults_.failure();
    return FSWritableFileOwnerWrapper::Append(data, options, debug);
  }
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           const rocksdb::DataVerificationInfo& verification,
                           rocksdb::IODebugContext* debug) override {
    if (Faults::use(faults_.failing_log_appends)) return faults_.failure();
    return FSWritableFileOwnerWrapper::Append(data, options, verification, debug);
  }
  rocksdb::IOStatus Sync(const rocksdb::IOOptions& options,
                         rocksdb::IODebugContext* debug) override {
    return onSync([&] { return FSWritableFileOwnerWrapper::Sync(options, debug); });
  }
  rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* debug) override {
    return onSync([&] { return FSWritableFileOwnerWrapper::Fsync(options, debug); });
  }

 private:
  template <class Sync>
  rocksdb::IOStatus onSync(Sync sync) {
    ++faults_.log_syncs;
    while (faults_.stuck) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (failed_) ++faults_.syncs_after_failure_of_same_file;
    if (Faults::use(faults_.failing_log_syncs)) {
      failed_ = true;
      return faults_.failure();
    }
    return sync();
  }
  Faults& faults_;
  bool failed_ = false;
};

class FailingFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  explicit FailingFileSystem(Faults& faults)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), faults_(faults) {}
  const char* Name() const override { return "FailingFileSystem"; }
  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override {
    if (faults_.no_space) return faults_.failure();
    auto status = FileSystemWrapper::NewWritableFile(path, options, file, debug);
    if (status.ok() && path.ends_with(".log"))
      *file = std::make_unique<FailingLog>(std::move(*file), faults_);
    return status;
  }

 private:
  Faults& faults_;
};

inline std::unique_ptr<rocksdb::Env> failingEnv(Faults& faults) {
  return rocksdb::NewCompositeEnv(std::make_shared<FailingFileSystem>(faults));
}

}  // namespace sluice::queue::test
