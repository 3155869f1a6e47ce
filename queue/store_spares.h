// Spare copies of the table files that the founding of a database wrote and that never change.
#pragma once

#include <string>

#include "net/base/result.h"

namespace sluice::queue {

// Copies all table files of the database at `path` aside. Errors: Io.
Result<void> keepSpares(const std::string& path);
// Puts copies back where the originals differ by now; true if any did.
bool useSpares(const std::string& path);

}  // namespace sluice::queue
