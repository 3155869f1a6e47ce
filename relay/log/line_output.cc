#include "relay/log/line_output.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <string>

namespace sluice::relay {
namespace {

// Whether the file behind `fd` ends within a line, as a process that was killed while it wrote
// leaves it. A file that cannot be read, since it was opened for writing alone by somebody else, is
// taken to be whole.
bool endsWithinLine(int fd, off_t size) {
  if (size <= 0) return false;
  char last = '\n';
  if (::pread(fd, &last, 1, size - 1) == 1) return last != '\n';
  const int reader = ::open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDONLY | O_CLOEXEC);
  if (reader < 0) return false;
  const bool within = ::pread(reader, &last, 1, size - 1) == 1 && last != '\n';
  ::close(reader);
  return within;
}

}  // namespace

LineOutput::LineOutput(int fd, const std::atomic<bool>& stopping) : fd_(fd), stopping_(stopping) {
  struct stat status {};
  if (fstat(fd, &status) == 0) {
    is_socket_ = S_ISSOCK(status.st_mode);
    is_file_ = S_ISREG(status.st_mode);
    torn_ = is_file_ && endsWithinLine(fd, status.st_size);
  }
}

// Waits as long as it takes, but not for ever once the relay stops.
bool LineOutput::waitUntilWritable() const {
  constexpr int kLookMs = 100;
  pollfd watched{fd_, POLLOUT, 0};
  for (int waited = 0; waited < kStopPatienceMs;) {
    const int ready = poll(&watched, 1, kLookMs);
    if (ready > 0) return true;  // errors too: the write tells which
    if (ready < 0 && errno != EINTR) return false;
    if (stopping_.load(std::memory_order_relaxed)) waited += kLookMs;
  }
  return false;
}

// A blocking pipe or terminal that poll calls writable takes PIPE_BUF bytes without blocking
// (pipe(7)), more might block for ever; a file takes everything, and a socket can be asked not to
// block.
ssize_t LineOutput::writeSome(std::string_view bytes) const {
  if (is_socket_) return ::send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  const size_t most = is_file_ ? bytes.size() : std::min<size_t>(bytes.size(), PIPE_BUF);
  return ::write(fd_, bytes.data(), most);
}

uint64_t LineOutput::write(std::string_view lines) {
  std::string_view left = lines;
  if (torn_ && !left.empty() && waitUntilWritable() && writeSome("\n") == 1) torn_ = false;
  while (!left.empty()) {
    if (!is_file_ && !waitUntilWritable()) break;
    const ssize_t written = writeSome(left);
    if (written > 0) {
      left.remove_prefix(static_cast<size_t>(written));
    } else if (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK) {
      break;  // nobody reads any more (EPIPE), no space (ENOSPC), a broken disk
    }
  }
  if (left.empty()) return 0;
  if (left.size() < lines.size()) torn_ = lines[lines.size() - left.size() - 1] != '\n';
  return static_cast<uint64_t>(std::count(left.begin(), left.end(), '\n'));
}

}  // namespace sluice::relay
