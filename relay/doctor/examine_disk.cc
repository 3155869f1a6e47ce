// Can the queue's disk be trusted with mail: room, rights, and the time of a sync, which bounds how
// fast messages are accepted?
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "relay/config/units.h"
#include "relay/doctor/examinations.h"

namespace sluice::relay {
namespace {

constexpr int kSyncs = 20;
constexpr size_t kSyncBytes = 4096;
constexpr std::chrono::milliseconds kSlowSync{50};  // a disk that spins takes 10
constexpr uint64_t kFewInodes = 10'000;

// The folder, or the nearest above it that exists.
std::string nearestFolder(std::string path) {
  struct stat status {};
  while (path.size() > 1 && ::stat(path.c_str(), &status) != 0) {
    const size_t slash = path.find_last_of('/');
    path = slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
  }
  return path;
}

void examineRights(const std::string& path, Findings& findings) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    const bool missing = errno == ENOENT;
    if (missing) {
      findings.note("data-dir", path, "does not exist yet: the first start makes it");
    } else {
      findings.error("data-dir", path, std::string("cannot be looked at: ") + std::strerror(errno),
                     "run the doctor as the relay's user, or as root");
    }
    return;
  }
  if (!S_ISDIR(status.st_mode)) {
    findings.error("data-dir", path, "is no directory", "name another data_dir");
  } else if ((status.st_mode & 07) != 0) {
    findings.warning("data-dir", path, "every user of this machine can look into it: it holds mail",
                     "chmod o-rwx " + path);
  } else if (::geteuid() != 0 && ::access(path.c_str(), R_OK | W_OK | X_OK) != 0) {
    findings.warning(
        "data-dir", path, "cannot be written to by this user",
        "if the relay runs as this user, chown it; else run the doctor as the relay's");
  } else {
    findings.ok("data-dir", path, fmt::format("mode {:04o}", status.st_mode & 07777));
  }
}

void examineRoom(const std::string& path, const std::string& folder, uint64_t reserve,
                 Findings& findings) {
  struct statvfs disk {};
  if (::statvfs(folder.c_str(), &disk) != 0) {
    findings.warning("disk", path, std::string("cannot be measured: ") + std::strerror(errno),
                     "run the doctor as the relay's user, or as root");
    return;
  }
  const uint64_t free = uint64_t{disk.f_bavail} * disk.f_frsize;
  const uint64_t total = uint64_t{disk.f_blocks} * disk.f_frsize;
  const std::string room =
      fmt::format("{:.1f} GiB free of {:.1f} GiB", static_cast<double>(free) / (1 << 30),
                  static_cast<double>(total) / (1 << 30));
  if (free < reserve) {
    findings.error("disk", path,
                   fmt::format("{}, less than disk_reserve ({}): mail is refused with 452 4.3.1",
                               room, formatSize(reserve)),
                   "make room, give data_dir a larger disk, or lower [queue] disk_reserve");
  } else if (free < 2 * reserve) {
    findings.warning("disk", path,
                     fmt::format("{}, nearly as little as disk_reserve ({}), below which mail is "
                                 "refused",
                                 room, formatSize(reserve)),
                     "make room, or give data_dir a larger disk");
  } else {
    findings.ok("disk", path, room);
  }
  if (disk.f_files > 0 && disk.f_favail < kFewInodes) {
    findings.warning("disk", path, fmt::format("only {} inodes are free", disk.f_favail),
                     "remove small files, or make the file system anew with more inodes");
  }
  if ((disk.f_flag & ST_RDONLY) != 0) {
    findings.error("disk", path, "is mounted read-only",
                   "look for errors with dmesg, then mount it again");
  }
}

// A file that nobody else sees and that is gone when it is closed; -1 if it cannot be had.
int unnamedFile(const std::string& folder) {
  const int file = ::open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
  if (file >= 0 || errno == EACCES || errno == EROFS) return file;
  std::string name = folder + "/.sluice-doctor-XXXXXX";  // a file system without O_TMPFILE
  const int named = ::mkostemp(name.data(), O_CLOEXEC);
  if (named >= 0) ::unlink(name.c_str());
  return named;
}

void examineSyncs(const std::string& path, const std::string& folder, Findings& findings) {
  const int file = unnamedFile(folder);
  if (file < 0) {
    findings.note("disk-speed", path, "cannot be measured: this user may not write there",
                  "run the doctor as the relay's user, or as root");
    return;
  }
  std::array<Duration, kSyncs> took{};
  const std::string bytes(kSyncBytes, 's');
  bool good = true;
  for (Duration& one : took) {
    const SteadyTime begun = Clock::system().steady();
    good = good && ::write(file, bytes.data(), bytes.size()) == ssize_t{kSyncBytes} &&
           ::fdatasync(file) == 0;
    one = Clock::system().steady() - begun;
  }
  const std::string why = std::strerror(errno);
  ::close(file);
  if (!good) {
    findings.error("disk-speed", path, "a write or its sync failed: " + why,
                   "look for errors with dmesg and smartctl; until then mail is refused with 451");
    return;
  }
  std::sort(took.begin(), took.end());
  const auto ms = [](Duration duration) {
    return std::chrono::duration<double, std::milli>(duration).count();
  };
  const Duration usual = took[kSyncs / 2];
  const std::string text = fmt::format(
      "a sync takes {:.2f} ms, the slowest of {} took {:.2f} ms: one client that waits "
      "for each reply is accepted from {:.0f} times a second",
      ms(usual), kSyncs, ms(took.back()), 1000.0 / std::max(ms(usual), 0.001));
  if (usual > kSlowSync) {
    findings.warning("disk-speed", path, text,
                     "give data_dir a disk of its own, local and with a write cache that survives "
                     "a power cut; let clients use several connections");
  } else {
    findings.ok("disk-speed", path, text);
  }
}

}  // namespace

void examineDisk(const Config& config, Findings& findings) {
  const std::string folder = nearestFolder(config.data_dir);
  examineRights(config.data_dir, findings);
  examineRoom(config.data_dir, folder, config.queue.disk_reserve, findings);
  if (folder == config.data_dir) examineSyncs(config.data_dir, folder, findings);
}

}  // namespace sluice::relay
