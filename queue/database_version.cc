#include "queue/database_version.h"

#include <rocksdb/version.h>

#include "queue/fast_crc32c.h"

namespace sluice::queue {

std::string rocksDbVersion() {
  return std::to_string(ROCKSDB_MAJOR) + "." + std::to_string(ROCKSDB_MINOR) + "." +
         std::to_string(ROCKSDB_PATCH) + " (CRC32C by " + std::string(crc32cUsed()) + ")";
}

}  // namespace sluice::queue
