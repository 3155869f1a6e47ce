#include "queue/database_version.h"

#include <rocksdb/version.h>

namespace sluice::queue {

std::string rocksDbVersion() {
  return std::to_string(ROCKSDB_MAJOR) + "." + std::to_string(ROCKSDB_MINOR) + "." +
         std::to_string(ROCKSDB_PATCH);
}

}  // namespace sluice::queue
