// Is the configuration right, and can the relay's user read the files that it names?
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>

#include "relay/doctor/examinations.h"

namespace sluice::relay {
namespace {

// Whom the queue belongs to: the relay's user. Nothing before the first start.
std::optional<uid_t> relayUser(const Config& config) {
  struct stat status {};
  if (::stat(config.data_dir.c_str(), &status) != 0) return std::nullopt;
  return status.st_uid;
}

bool mayRead(uid_t user, const struct stat& file) {
  if (user == 0) return true;
  if (file.st_uid == user) return (file.st_mode & S_IRUSR) != 0;
  return (file.st_mode & (S_IRGRP | S_IROTH)) != 0;  // its groups are not known here
}

std::vector<std::string> namedFiles(const Config& config) {
  std::vector<std::string> files;
  const auto add = [&files](const std::string& path) {
    if (!path.empty()) files.push_back(path);
  };
  for (const ReceiveConfig& connector : config.receive) {
    add(connector.users_file);
    for (const std::string& path : connector.tls_certificate) add(path);
    for (const std::string& path : connector.tls_key) add(path);
    add(connector.tls_client_ca);
  }
  for (const SendConfig& connector : config.send) {
    add(connector.password_file);
    add(connector.tls_ca_file);
  }
  for (const DkimConfig& dkim : config.dkim) add(dkim.key);
  add(config.admin.token_file);
  return files;
}

}  // namespace

void examineConfiguration(const LoadedConfig& loaded, Findings& findings) {
  const std::string source = loaded.from_file ? loaded.file : "environment";
  for (const ConfigMistake& mistake : loaded.mistakes) {
    findings.error("configuration", source, mistake.toString(),
                   "mend it, then sluice check: the relay does not start with it");
  }
  if (loaded.ok()) findings.ok("configuration", source, "no mistakes");
  // The reader of the configuration has looked at modes, and at what this very user may read. Root
  // may read all, the relay's user may not.
  const auto user = relayUser(loaded.config);
  if (!user || *user == ::geteuid()) return;
  for (const std::string& path : namedFiles(loaded.config)) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0 || mayRead(*user, status)) continue;
    findings.error(
        "files", path,
        fmt::format("cannot be read by the user that data_dir belongs to (uid {})", *user),
        fmt::format("chown {} {}", *user, path));
  }
}

}  // namespace sluice::relay
