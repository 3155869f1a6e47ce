// Where the log's lines go: a file descriptor that may be a file, a pipe, a terminal or a socket,
// with a reader that may be slow or gone. One thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

namespace sluice::relay {

class LineOutput {
 public:
  // `fd` stays the caller's. `stopping`: once true, a reader that takes nothing for kStopPatience
  // is given up.
  LineOutput(int fd, const std::atomic<bool>& stopping);
  static constexpr int kStopPatienceMs = 2000;

  // Writes whole lines, with one write(2) if the reader takes them; waits for a slow one. Gives the
  // number of lines that could not be written.
  uint64_t write(std::string_view lines);

 private:
  bool waitUntilWritable() const;
  ssize_t writeSome(std::string_view bytes) const;

  int fd_;
  const std::atomic<bool>& stopping_;
  bool is_socket_ = false;
  bool is_file_ = false;
  bool torn_ = false;  // what was written last, by us or before us, ended within a line
};

}  // namespace sluice::relay
