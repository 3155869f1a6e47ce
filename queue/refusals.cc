// How refusals are noted, and made good for at the start.
#include "queue/refusals.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "queue/record.h"

namespace sluice::queue {
namespace {

constexpr std::string_view kFile = "/refused";
constexpr size_t kFileBytes = Refusals::kMost * kRefusalBytes;

bool writeAll(int fd, std::string_view bytes, size_t at) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    at += static_cast<size_t>(count);
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

std::string readAll(int fd) {
  std::string bytes(kFileBytes, '\0');
  const ssize_t count = ::pread(fd, bytes.data(), bytes.size(), 0);
  bytes.resize(static_cast<size_t>(std::max<ssize_t>(count, 0)));
  return bytes;
}

// A refused message has only the form in which it was accepted: nobody has ever taken it. What is
// not there was undone in time. One that cannot be read is set aside by whoever reads it.
void removeAccepted(Store& store, rocksdb::WriteBatch& batch, const MessageId& id) {
  std::string bytes;
  const auto found = store.db()->Get(rocksdb::ReadOptions(), store.family(Family::Envelope),
                                     sliceOf(id.bytes()), &bytes);
  if (!found.ok()) return;
  const auto record = decodeEnvelope(id.bytes(), bytes);
  if (!record) return;
  for (uint32_t chunk = 0; chunk < record->chunks; ++chunk)
    batch.SingleDelete(store.family(Family::Content), contentKey(id, chunk));
  for (const Group& group : record->groups)
    batch.SingleDelete(
        store.family(Family::Schedule),
        scheduleKey(id.lane(), group.key, {record->due_us, id, {group.recipients.front(), 0}}));
  batch.SingleDelete(store.family(Family::Envelope), sliceOf(id.bytes()));
}

// Gives the file its size and leaves nothing in it. False where there is no room.
bool emptied(int fd, const std::string& directory) {
  if (!writeAll(fd, std::string(kFileBytes, '\0'), 0) || ::fsync(fd) != 0) return false;
  const int folder = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = folder >= 0 && ::fsync(folder) == 0;
  if (folder >= 0) ::close(folder);
  return synced;
}

}  // namespace

Result<std::unique_ptr<Refusals>> Refusals::open(const std::string& directory, Store& store) {
  std::unique_ptr<Refusals> refusals(new Refusals);
  const std::string path = directory + std::string(kFile);
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return refusals;
  refusals->fd_ = fd;
  const std::string bytes = readAll(fd);
  rocksdb::WriteBatch batch;
  const std::vector<MessageId> ids = decodeRefusals(bytes);
  for (const MessageId& id : ids) removeAccepted(store, batch, id);
  if (batch.Count() > 0) {
    rocksdb::WriteOptions sync;
    sync.sync = true;
    const auto status = store.db()->Write(sync, &batch);
    if (!status.ok()) return failWith(status);
  }
  const bool is_empty = bytes.size() == kFileBytes && ids.empty();
  if (!is_empty && !emptied(fd, directory)) {
    ::close(fd);
    refusals->fd_ = -1;
  }
  return refusals;
}

Refusals::~Refusals() {
  if (fd_ >= 0) ::close(fd_);
}

Result<std::vector<size_t>> Refusals::slotsFor(std::span<const MessageId> ids) {
  const std::lock_guard lock(mutex_);
  std::vector<size_t> taken;
  size_t slot = 0;
  for (const MessageId& id : ids) {
    if (forgotten_before_.erase(id) > 0) continue;
    while (slot < slots_.size() && slots_[slot]) ++slot;
    if (slot == slots_.size()) {
      for (const size_t at : taken) slots_[at].reset();
      return fail(Errc::NoSpace, "too many refused commits at a time");
    }
    slots_[slot] = id;
    taken.push_back(slot);
  }
  return taken;
}

Result<void> Refusals::note(std::span<const MessageId> ids) {
  if (fd_ < 0) return fail(Errc::NoSpace, "there is no file for refusals");
  ASSIGN_OR_RETURN(const auto slots, slotsFor(ids));
  for (const size_t slot : slots) {
    std::string bytes;
    {
      const std::lock_guard lock(mutex_);
      if (!slots_[slot]) continue;  // forgotten meanwhile
      bytes = encodeRefusal(*slots_[slot]);
    }
    if (!writeAll(fd_, bytes, slot * kRefusalBytes))
      return fail(Errc::Io, "cannot note refusals: " + std::string(std::strerror(errno)));
  }
  if (::fdatasync(fd_) != 0)
    return fail(Errc::Io, "cannot note refusals: " + std::string(std::strerror(errno)));
  return {};
}

void Refusals::forget(const MessageId& id) {
  if (fd_ < 0) return;
  const std::lock_guard lock(mutex_);
  for (auto& slot : slots_) {
    if (slot != id) continue;
    slot.reset();
    return;
  }
  forgotten_before_.insert(id);
}

}  // namespace sluice::queue
