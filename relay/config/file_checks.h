// Files that a configuration names: are they there, may we read them, are secrets secret?
#pragma once

#include <optional>
#include <string>

#include "net/base/result.h"

namespace sluice::relay {

enum class FileKind {
  Public,  // a certificate
  Secret,  // a key, a password: not to be readable by every user of the machine
};

// Why the file cannot be used, in words; nothing if it can. Secrets below /run/secrets may have any
// mode: container runtimes mount them readable for all users of the container.
std::optional<std::string> whyUnusable(const std::string& path, FileKind kind);

// The one line that a secret file holds, without its line end. Errors: Io, Malformed (empty, more
// than one line, control characters), TooLarge.
Result<std::string> readSecret(const std::string& path);

// The whole file. Errors: Io, TooLarge.
Result<std::string> readWholeFile(const std::string& path, size_t max_bytes);

}  // namespace sluice::relay
