// How the database is founded, opened and opened again, with which options, and why.
#include "queue/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/write_buffer_manager.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "queue/fast_crc32c.h"
#include "queue/store_listener.h"
#include "queue/store_spares.h"

namespace sluice::queue {
namespace {

// Counted up when the stored form changes; an older one is migrated, a newer one not touched.
constexpr std::string_view kFormatKey = "format";
constexpr std::string_view kFormatVersion = "1";
// RocksDB opens the first table files ahead, and a damaged one among them stops the opening. With
// the least allowed number (kFewestOpenFiles) these are two, of the first family. So that family
// has two files of its own, written at the founding and never again, with spare copies beside them:
// a damaged file of any other family then stops nothing, and what it held is set aside when it is
// read.
constexpr std::string_view kFoundedKey = "founded";
constexpr int kFewestOpenFiles = 20;

std::string errnoText(const std::string& what, const std::string& path) {
  return what + " " + path + ": " + std::strerror(errno);
}

// What a directory of ours holds besides a whole database.
enum class Holds { Nothing, Database, Remains };

Holds contentsOf(const std::string& path) {
  DIR* directory = ::opendir(path.c_str());
  if (!directory) return Holds::Nothing;
  bool current = false, remains = false;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string_view name = entry->d_name;
    current |= name == "CURRENT";
    for (const std::string_view ending : {".sst", ".log", ".blob", ".ldb"})
      remains |= name.ends_with(ending);
    remains |= name.starts_with("MANIFEST-");
  }
  ::closedir(directory);
  return current ? Holds::Database : remains ? Holds::Remains : Holds::Nothing;
}

Result<void> syncDirectory(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail(Errc::Io, errnoText("cannot open", path));
  const bool synced = ::fsync(fd) == 0;
  const int error = errno;
  ::close(fd);
  errno = error;
  if (!synced) return fail(Errc::Io, errnoText("cannot sync", path));
  return {};
}

Result<void> makeDirectory(const std::string& path) {
  for (size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
    const std::string part = path.substr(0, at);
    if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST && errno != EISDIR)
      return fail(errno == ENOSPC ? Errc::NoSpace : Errc::Io, errnoText("cannot make", part));
    if (at == std::string::npos) break;
  }
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return fail(Errc::Io, errnoText("cannot use", path));
  if (!S_ISDIR(info.st_mode)) return fail(Errc::Io, path + " is not a directory");
  if (::access(path.c_str(), R_OK | W_OK | X_OK) != 0)
    return fail(Errc::Io, errnoText("cannot write to", path));
  return {};
}

// Keys come in the order of time, so files of a level never overlap: what a compaction takes is
// written once more, compressed, and then leaves by whole files. However many of them pile up, and
// whatever is wrong with them, mail is not held up for it.
void setTrackingOptions(rocksdb::ColumnFamilyOptions& options) {
  options.num_levels = 2;
  options.max_bytes_for_level_base = 1ull << 50;
  options.target_file_size_base = 32 << 20;
  options.compression_per_level = {rocksdb::kNoCompression, rocksdb::kLZ4Compression};
  options.level0_slowdown_writes_trigger = 1 << 30;
  options.level0_stop_writes_trigger = 1 << 30;
  options.soft_pending_compaction_bytes_limit = 0;
  options.hard_pending_compaction_bytes_limit = 0;
}

}  // namespace

Errc errcOf(const rocksdb::Status& status) {
  if (status.IsNotFound()) return Errc::NotFound;
  if (status.IsCorruption()) return Errc::Corrupt;
  if (status.IsNoSpace()) return Errc::NoSpace;
  if (status.IsNotSupported()) return Errc::Unsupported;
  if (status.IsShutdownInProgress() || status.IsAborted()) return Errc::Cancelled;
  return Errc::Io;
}

std::string_view familyName(Family family) {
  switch (family) {
    case Family::Anchor:
      return "default";
    case Family::Settings:
      return "settings";
    case Family::Content:
      return "content";
    case Family::Envelope:
      return "envelope";
    case Family::State:
      return "state";
    case Family::Schedule:
      return "schedule";
    case Family::Partial:
      return "partial";
    case Family::Tracking:
      return "tracking";
    case Family::TrackingIndex:
      return "tracking_index";
  }
  return "";
}

std::string Store::databasePath(const std::string& directory) { return directory + "/queue"; }

Store::Store(const QueueOptions& options)
    : options_(options),
      path_(databasePath(options.directory)),
      dropped_bytes_(std::make_shared<std::atomic<uint64_t>>(0)),
      cache_(rocksdb::NewLRUCache(options.database_memory_bytes)),
      // Three quarters for what is not flushed yet: a message that leaves before its buffer is
      // flushed is never written twice. The cache is charged for it, so the sum is bounded.
      write_buffers_(std::make_shared<rocksdb::WriteBufferManager>(
          options.database_memory_bytes / 4 * 3, cache_, true)) {}

Store::~Store() {
  close();
  if (lock_fd_ >= 0) ::close(lock_fd_);
}

Result<std::unique_ptr<Store>> Store::open(const QueueOptions& options) {
  std::unique_ptr<Store> store(new Store(options));
  ::umask(0077);  // RocksDB has no say on the modes of its files; mail is for nobody else's eyes
  RETURN_IF_ERROR(makeDirectory(options.directory));
  RETURN_IF_ERROR(store->lockDirectory());
  switch (contentsOf(store->path_)) {
    case Holds::Nothing:
      RETURN_IF_ERROR(store->found());
      break;
    case Holds::Database:
      break;
    case Holds::Remains:
      return fail(Errc::Corrupt, store->path_ +
                                     " holds files of a queue but no CURRENT file; it is not "
                                     "replaced by an empty queue: see `sluice spool export`");
  }
  RETURN_IF_ERROR(store->openDatabase());
  store->admitReaders();
  return store;
}

Result<std::unique_ptr<Store>> Store::openReadOnly(const std::string& path) {
  std::unique_ptr<Store> store(new Store(QueueOptions{}));
  store->path_ = path;
  store->read_only_ = true;
  RETURN_IF_ERROR(store->openDatabase());
  store->admitReaders();
  return store;
}

// RocksDB's own LOCK belongs to one opening; this one to the process, and it names its holder.
Result<void> Store::lockDirectory() {
  const std::string path = options_.directory + "/lock";
  lock_fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_fd_ < 0) return fail(Errc::Io, errnoText("cannot open", path));
  if (::flock(lock_fd_, LOCK_EX | LOCK_NB) != 0) {
    char holder[32] = {};
    const ssize_t count = ::pread(lock_fd_, holder, sizeof holder - 1, 0);
    const std::string pid(holder, static_cast<size_t>(std::max<ssize_t>(count, 0)));
    return fail(Errc::Exists, "the queue is in use by process " + pid + " (lock " + path + ")");
  }
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(lock_fd_, 0) != 0 ||
      ::pwrite(lock_fd_, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size()))
    return fail(errno == ENOSPC ? Errc::NoSpace : Errc::Io, errnoText("cannot write", path));
  return {};
}

// A new queue is made aside and moved into place whole, so that a crash in between leaves nothing
// that looks like the remains of a queue.
Result<void> Store::found() {
  const std::string aside = path_ + ".founding";
  std::error_code ignored;
  std::filesystem::remove_all(aside, ignored);
  ::rmdir(path_.c_str());  // empty, as contentsOf() has seen, or not there
  if (auto opened = openAt(aside, true); !opened) return opened;
  rocksdb::Status status;
  for (const std::string_view key : {kFormatKey, kFoundedKey}) {
    auto* anchor = family(Family::Anchor);
    if (status.ok()) status = db_->Put({}, anchor, sliceOf(key), sliceOf(kFormatVersion));
    if (status.ok()) status = db_->Flush({}, anchor);
  }
  close();
  if (!status.ok()) return failWith(status);
  RETURN_IF_ERROR(keepSpares(aside));
  if (::rename(aside.c_str(), path_.c_str()) != 0)
    return fail(Errc::Io, errnoText("cannot make", path_));
  return syncDirectory(options_.directory);
}

Result<void> Store::openDatabase() {
  RETURN_IF_ERROR(openAt(path_, false));
  auto checked = checkFormat();
  if (checked) return {};
  close();
  // RocksDB looks at some damage only when it is asked for what lies there.
  const bool damaged = checked.error().code == Errc::Corrupt && !read_only_;
  if (!damaged || !useSpares(path_)) return checked;
  RETURN_IF_ERROR(openAt(path_, false));
  checked = checkFormat();
  if (!checked) close();
  return checked;
}

rocksdb::Status Store::tryOpen(const rocksdb::DBOptions& options, const std::string& path) {
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (size_t i = 0; i < kFamilies; ++i) {
    const auto family = static_cast<Family>(i);
    if (i >= kMailFamilies && !opensTracking(options, path)) break;
    families.emplace_back(std::string(familyName(family)), familyOptions(family));
  }
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const auto status = read_only_
                          ? rocksdb::DB::OpenForReadOnly(options, path, families, &handles, &db)
                          : rocksdb::DB::Open(options, path, families, &handles, &db);
  if (!status.ok()) return status;
  std::copy(handles.begin(), handles.end(), handles_.begin());
  db_.reset(db);
  dropUnwanted();
  return status;
}

// A database is opened with all the families that it has, so also with those for tracking that an
// earlier configuration left. Reading alone does without.
bool Store::opensTracking(const rocksdb::DBOptions& options, const std::string& path) const {
  if (read_only_) return false;
  if (options_.tracking.enabled) return true;
  std::vector<std::string> there;
  rocksdb::DB::ListColumnFamilies(options, path, &there).PermitUncheckedError();
  return std::find(there.begin(), there.end(), familyName(Family::Tracking)) != there.end();
}

// What cannot be dropped stays until the next opening.
void Store::dropUnwanted() {
  if (options_.tracking.enabled) return;
  for (size_t i = kMailFamilies; i < kFamilies; ++i) {
    if (!handles_[i] || !db_->DropColumnFamily(handles_[i]).ok()) continue;
    db_->DestroyColumnFamilyHandle(std::exchange(handles_[i], nullptr));
  }
}

Result<void> Store::openAt(const std::string& path, bool founding) {
  crc32cUsed();  // so that it is linked wherever a database is opened
  rocksdb::DBOptions options = databaseOptions(path, founding);
  auto status = tryOpen(options, path);
  if (status.IsCorruption()) {
    options.max_open_files = kFewestOpenFiles;
    status = tryOpen(options, path);
  }
  if (status.IsCorruption() && !read_only_ && useSpares(path)) status = tryOpen(options, path);
  if (!status.ok()) return fail(errcOf(status), "cannot open " + path + ": " + status.ToString());
  return {};
}

Result<void> Store::checkFormat() {
  std::string version;
  const auto status =
      db_->Get(rocksdb::ReadOptions(), family(Family::Anchor), sliceOf(kFormatKey), &version);
  if (status.IsNotFound()) return fail(Errc::Corrupt, path_ + " does not say its format version");
  if (!status.ok()) return failWith(status);
  if (version == kFormatVersion) return {};
  return fail(Errc::Unsupported, path_ + " is of format version " + version + "; this program " +
                                     "knows version " + std::string(kFormatVersion) +
                                     ": run the newer release that wrote it");
}

rocksdb::DBOptions Store::databaseOptions(const std::string& path, bool founding) {
  rocksdb::DBOptions db;
  if (options_.env) db.env = options_.env;
  db.create_if_missing = founding;
  db.create_missing_column_families = true;
  // A torn end of the log was never acknowledged and is cut off; the start needs no operator. What
  // was synced and is whole comes back in order.
  db.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  db.recycle_log_file_num = 0;  // does not go with point-in-time recovery
  db.track_and_verify_wals_in_manifest = true;
  db.atomic_flush = true;
  db.paranoid_checks = true;
  db.max_bgerror_resume_count = 0;  // after a failed write the committer reopens, nothing else
  db.max_open_files = 512;
  db.max_background_jobs = 2;
  db.allow_concurrent_memtable_write = false;  // one writer
  db.enable_write_thread_adaptive_yield = false;
  db.avoid_unnecessary_blocking_io = true;
  db.skip_stats_update_on_db_open = true;
  db.bytes_per_sync = 1 << 20;
  db.write_buffer_manager = write_buffers_;
  db.max_total_wal_size = options_.database_memory_bytes;
  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  db.info_log_level = rocksdb::WARN_LEVEL;
  std::shared_ptr<rocksdb::Logger> log;
  if (!read_only_) log = std::make_shared<InfoLog>(path);
  db.info_log = std::make_shared<DropCounter>(std::move(log), dropped_bytes_);
  db.listeners.push_back(std::make_shared<DamageListener>(options_.on_event));
  return db;
}

rocksdb::ColumnFamilyOptions Store::familyOptions(Family family) const {
  rocksdb::ColumnFamilyOptions options;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache_;
  table.cache_index_and_filter_blocks = true;
  table.format_version = 5;
  if (family != Family::Schedule) table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.compression = rocksdb::kNoCompression;
  // All are flushed together (atomic_flush), so content's buffer sets the pace for all. What is in
  // buffers is what a start after a crash replays and writes out before it can answer; mail that
  // leaves quickly is gone from a small one as well as from a large one.
  options.write_buffer_size = std::max<uint64_t>(options_.database_memory_bytes / 16, 1 << 20);
  // New keys come at the end, removals a little behind it: the place of the last one is near.
  options.memtable_insert_with_hint_prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(0));
  options.level0_file_num_compaction_trigger = 8;  // files are the smaller for it
  options.max_write_buffer_number = 3;
  options.force_consistency_checks = true;
  // A damaged file is never compacted away. Let newer ones pile up beside it for a long time before
  // writing is slowed down for that.
  options.level0_slowdown_writes_trigger = 64;
  options.level0_stop_writes_trigger = 1024;
  if (family == Family::Anchor) options.disable_auto_compactions = true;  // its files never change
  if (family == Family::Tracking || family == Family::TrackingIndex) setTrackingOptions(options);
  if (family == Family::Content) {
    options.enable_blob_files = true;
    options.min_blob_size = 1024;
    options.blob_file_size = 64 << 20;
    options.enable_blob_garbage_collection = true;
    options.blob_garbage_collection_age_cutoff = 0.5;
    options.blob_garbage_collection_force_threshold = 0.5;
  }
  return options;
}

Result<void> Store::emptyFamily(Family of) {
  auto*& handle = handles_[static_cast<size_t>(of)];
  auto status = db_->DropColumnFamily(handle);
  if (!status.ok()) return failWith(status);
  db_->DestroyColumnFamilyHandle(handle);
  handle = nullptr;
  status = db_->CreateColumnFamily(familyOptions(of), std::string(familyName(of)), &handle);
  if (!status.ok()) return failWith(status);
  return {};
}

Store::Reading Store::read() const {
  Reading reading;
  if (closing_.load(std::memory_order_acquire)) return reading;
  reading.lock_ = std::shared_lock(mutex_);
  if (closing_.load(std::memory_order_acquire)) return {};  // it was shut while we came in
  reading.store_ = this;
  reading.db_ = db_.get();
  return reading;
}

Store::Reading Store::readAlone() const {
  Reading reading;
  reading.store_ = this;
  reading.db_ = db_.get();
  return reading;
}

void Store::shut() {
  closing_ = true;
  const std::unique_lock lock(mutex_);
}

Result<std::string> Store::Reading::get(Family of, std::string_view key) const {
  std::string value;
  const auto status = db_->Get(rocksdb::ReadOptions(), family(of), sliceOf(key), &value);
  if (!status.ok()) return failWith(status);
  return value;
}

Result<void> Store::reopen() {
  close();
  const std::unique_lock lock(mutex_);
  return openDatabase();
}

void Store::takeSnapshot() {
  const std::unique_lock lock(mutex_);
  if (db_ && !snapshot_) snapshot_ = db_->GetSnapshot();
}

void Store::dropSnapshot() {
  const std::unique_lock lock(mutex_);
  if (db_ && snapshot_) db_->ReleaseSnapshot(snapshot_);
  snapshot_ = nullptr;
}

void Store::flush() {
  if (!db_) return;
  std::vector<rocksdb::ColumnFamilyHandle*> all(handles_.begin(), handles_.end());
  std::erase(all, nullptr);
  // What fails here is still in the log, which the next start replays.
  db_->Flush(rocksdb::FlushOptions(), all).PermitUncheckedError();
}

void Store::close() {
  closing_ = true;  // readers that come now wait for nothing and get nothing
  const std::unique_lock lock(mutex_);
  if (!db_) return;
  if (snapshot_) db_->ReleaseSnapshot(snapshot_);
  snapshot_ = nullptr;
  for (auto*& handle : handles_) {
    if (handle) db_->DestroyColumnFamilyHandle(handle);
    handle = nullptr;
  }
  db_->Close();
  db_.reset();
}

}  // namespace sluice::queue
