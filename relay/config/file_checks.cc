#include "relay/config/file_checks.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace sluice::relay {
namespace {

constexpr size_t kMaxSecretBytes = 16 * 1024;  // an OAuth token is a few KiB
constexpr std::string_view kContainerSecrets = "/run/secrets/";

std::string because(const std::string& path, int error) {
  return "cannot read " + path + ": " + std::strerror(error);
}

class OpenFile {
 public:
  explicit OpenFile(const std::string& path, int flags = 0)
      : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC | flags)) {}
  ~OpenFile() {
    if (fd_ >= 0) close(fd_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

std::optional<std::string> whyUnusable(const std::string& path, FileKind kind) {
  const OpenFile file(path, O_NONBLOCK);  // a FIFO must not make us wait for its writer
  if (file.fd() < 0) return because(path, errno);
  struct stat status {};
  if (fstat(file.fd(), &status) != 0) return because(path, errno);
  if (!S_ISREG(status.st_mode)) return path + " is no regular file";
  if (kind == FileKind::Public || path.starts_with(kContainerSecrets)) return std::nullopt;
  if ((status.st_mode & (S_IROTH | S_IWOTH)) != 0) {
    return path + " is open to every user of this machine: chmod o-rwx " + path;
  }
  return std::nullopt;
}

Result<std::string> readWholeFile(const std::string& path, size_t max_bytes) {
  const OpenFile file(path);
  if (file.fd() < 0) return fail(Errc::Io, because(path, errno));
  std::string text;
  std::array<char, 16384> buffer{};
  while (true) {
    const ssize_t count = read(file.fd(), buffer.data(), buffer.size());
    if (count < 0) return fail(Errc::Io, because(path, errno));
    if (count == 0) return text;
    text.append(buffer.data(), static_cast<size_t>(count));
    if (text.size() > max_bytes) return fail(Errc::TooLarge, path + " is too large");
  }
}

Result<std::string> readSecret(const std::string& path) {
  if (const auto why = whyUnusable(path, FileKind::Public)) return fail(Errc::Io, *why);
  ASSIGN_OR_RETURN(std::string secret, readWholeFile(path, kMaxSecretBytes));
  if (secret.ends_with('\n')) secret.pop_back();
  if (secret.ends_with('\r')) secret.pop_back();
  if (secret.empty()) return fail(Errc::Malformed, path + " is empty");
  if (std::any_of(secret.begin(), secret.end(),
                  [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; })) {
    return fail(Errc::Malformed, path + " must hold one line of printable text");
  }
  return secret;
}

}  // namespace sluice::relay
