// What the process gives up once its sockets are bound: root, capabilities, new privileges, and the
// system calls that it never needs.
//
// On the only thread there is: the threads that come inherit it all. None of it can be had back.
#pragma once

#include <string>

#include "net/base/result.h"
#include "relay/config/config.h"

namespace sluice::relay {

// Becomes [process] user and group, where root started us, and makes data_dir theirs where it is
// not there yet; then gives up every capability and every way to a new privilege. Errors:
// InvalidArgument (not root, or no such user), Io.
Result<void> dropPrivileges(const Config& config);

// Forbids what is never needed (programs, tracing, mounts, modules, other namespaces, …): such a
// call fails with EPERM. Errors: Unsupported (the kernel has no seccomp filters).
Result<void> enterSandbox();

}  // namespace sluice::relay
