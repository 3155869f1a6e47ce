#include "relay/deliver/mta_sts_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <optional>

#include "net/dns/dns_message.h"
#include "relay/config/file_checks.h"

namespace sluice::relay {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFirstLine = "sluice mta-sts 1";  // the form's version
constexpr std::string_view kUnfinished = ".new";             // no domain's name begins so
constexpr size_t kMaxFileBytes = kMaxPolicyBytes + 1024;

std::string formOf(const StoredPolicy& stored) {
  std::string text = fmt::format(
      "{}\n{}\n{}\n", kFirstLine, stored.id,
      std::chrono::duration_cast<std::chrono::seconds>(stored.fetched_at.time_since_epoch())
          .count());
  for (const std::string& line : stored.policy.lines) text += line + "\n";
  return text;
}

std::string_view takeLine(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

std::optional<StoredPolicy> storedOf(const std::string& domain, std::string_view text) {
  if (takeLine(text) != kFirstLine) return std::nullopt;
  StoredPolicy stored{domain, std::string(takeLine(text)), {}, {}};
  const std::string_view written = takeLine(text);
  int64_t seconds = 0;
  const auto [stop, error] =
      std::from_chars(written.data(), written.data() + written.size(), seconds);
  if (error != std::errc() || seconds < 0) return std::nullopt;
  stored.fetched_at = WallTime(std::chrono::seconds(seconds));
  auto policy = parseMtaStsPolicy(text);
  if (!policy) return std::nullopt;
  stored.policy = std::move(*policy);
  return stored;
}

tl::unexpected<Error> failed(const std::string& path, int error) {
  return fail(error == ENOSPC ? Errc::NoSpace : Errc::Io, path + ": " + std::strerror(error));
}

Result<void> writeWhole(const std::string& path, std::string_view bytes) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return failed(path, errno);
  int error = 0;
  while (!bytes.empty() && error == 0) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0) {
      error = errno;
    } else {
      bytes.remove_prefix(static_cast<size_t>(count));
    }
  }
  if (error == 0 && ::fdatasync(fd) != 0) error = errno;
  ::close(fd);
  if (error != 0) return failed(path, error);
  return {};
}

}  // namespace

std::vector<StoredPolicy> MtaStsFiles::load(size_t most) {
  std::error_code error;
  fs::create_directory(directory_, error);
  std::vector<StoredPolicy> all;
  std::vector<std::string> useless;
  for (const auto& entry : fs::directory_iterator(directory_, error)) {
    const std::string domain = entry.path().filename();
    std::optional<StoredPolicy> stored;
    if (all.size() < most && net::isHostName(domain)) {
      if (const auto text = readWholeFile(entry.path(), kMaxFileBytes)) {
        stored = storedOf(domain, *text);
      }
    }
    if (stored) {
      all.push_back(std::move(*stored));
    } else {
      useless.push_back(entry.path());
    }
  }
  for (const std::string& path : useless) fs::remove(path, error);
  return all;
}

Result<void> MtaStsFiles::save(const StoredPolicy& stored) {
  const std::string unfinished = pathOf(std::string(kUnfinished));
  RETURN_IF_ERROR(writeWhole(unfinished, formOf(stored)));
  const std::string path = pathOf(stored.domain);
  if (::rename(unfinished.c_str(), path.c_str()) != 0) return failed(path, errno);
  return {};
}

void MtaStsFiles::remove(const std::string& domain) { ::unlink(pathOf(domain).c_str()); }

}  // namespace sluice::relay
