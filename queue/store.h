// The RocksDB below the queue: its options, its column families, and its opening, closing and
// reopening. Nothing here knows what a message is.
//
// Any number of readers (Reading) at a time, one writer: the committer. A reader holds the database
// open only for a bounded piece of work, because a reopening waits for it.
#pragma once

#include <rocksdb/db.h>

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <shared_mutex>
#include <string>

#include "net/base/result.h"
#include "queue/queue.h"
#include "queue/step.h"

namespace sluice::queue {

class Store {
 public:
  // The path of the database below data_dir.
  static std::string databasePath(const std::string& directory);

  // Errors as Queue::open says.
  static Result<std::unique_ptr<Store>> open(const QueueOptions& options);
  // A stopped queue's database, or a copy of one, at `path`; nothing in it is changed.
  static Result<std::unique_ptr<Store>> openReadOnly(const std::string& path);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // The open database, kept open as long as this lives.
  class Reading {
   public:
    explicit operator bool() const { return db_ != nullptr; }
    rocksdb::DB* operator->() const { return db_; }
    rocksdb::DB* db() const { return db_; }
    rocksdb::ColumnFamilyHandle* family(Family family) const {
      return store_->handles_[static_cast<size_t>(family)];
    }
    // NotFound, Corrupt, Io.
    Result<std::string> get(Family family, std::string_view key) const;

   private:
    friend class Store;
    std::shared_lock<std::shared_mutex> lock_;
    const Store* store_ = nullptr;
    rocksdb::DB* db_ = nullptr;
  };
  // Empty while the database is being reopened, or when it is closed.
  Reading read() const;
  // The same for who keeps all others out: see shut().
  Reading readAlone() const;

  // The committer's.
  rocksdb::DB* db() const { return db_.get(); }
  rocksdb::ColumnFamilyHandle* family(Family family) const {
    return handles_[static_cast<size_t>(family)];
  }
  // Closes, if open, and opens again: what the log holds is replayed, and a new log begun. Readers
  // are let in again by admitReaders(), when what must not be seen has been removed.
  Result<void> reopen();
  void admitReaders() { closing_ = false; }
  // Keeps readers out, and waits for those that are in.
  void shut();
  void close();
  // Writes the buffers to table files, so that the next start has no log to replay.
  void flush();
  // Drops all records of a family, readable or not. While nobody reads.
  Result<void> emptyFamily(Family family);

  // The state at the opening, for the walk; dropped with it, or when the store is reopened.
  void takeSnapshot();
  const rocksdb::Snapshot* snapshot() const { return snapshot_; }  // while Reading; may be null
  void dropSnapshot();

  // Torn bytes at the end of the log that openings have cut off so far.
  uint64_t droppedBytes() const { return dropped_bytes_->load(std::memory_order_relaxed); }

 private:
  explicit Store(const QueueOptions& options);
  Result<void> lockDirectory();
  Result<void> found();
  Result<void> openDatabase();
  Result<void> openAt(const std::string& path, bool founding);
  bool opensTracking(const rocksdb::DBOptions& options, const std::string& path) const;
  void dropUnwanted();
  rocksdb::Status tryOpen(const rocksdb::DBOptions& options, const std::string& path);
  Result<void> checkFormat();
  rocksdb::DBOptions databaseOptions(const std::string& path, bool founding);
  rocksdb::ColumnFamilyOptions familyOptions(Family family) const;

  QueueOptions options_;
  std::string path_;
  bool read_only_ = false;
  int lock_fd_ = -1;
  std::shared_ptr<std::atomic<uint64_t>> dropped_bytes_;
  std::shared_ptr<rocksdb::Cache> cache_;
  std::shared_ptr<rocksdb::WriteBufferManager> write_buffers_;
  mutable std::shared_mutex mutex_;  // readers against close and reopen
  mutable std::atomic<bool> closing_{false};
  std::unique_ptr<rocksdb::DB> db_;
  const rocksdb::Snapshot* snapshot_ = nullptr;  // changed only under the exclusive lock
  std::array<rocksdb::ColumnFamilyHandle*, kFamilies> handles_{};
};

// What a status of RocksDB is to us.
Errc errcOf(const rocksdb::Status& status);
inline tl::unexpected<Error> failWith(const rocksdb::Status& status) {
  return fail(errcOf(status), status.ToString());
}
inline rocksdb::Slice sliceOf(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
inline std::string_view viewOf(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

std::string_view familyName(Family family);

}  // namespace sluice::queue
