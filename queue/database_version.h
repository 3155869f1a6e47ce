// The version of RocksDB, for `sluice --version`; rocksdb/ stays in this folder.
#pragma once

#include <string>

namespace sluice::queue {

std::string rocksDbVersion();

}  // namespace sluice::queue
