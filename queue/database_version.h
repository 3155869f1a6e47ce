// The version of RocksDB and who sums its records, for `sluice --version`; rocksdb/ stays in this folder.
#pragma once

#include <string>

namespace sluice::queue {

std::string rocksDbVersion();

}  // namespace sluice::queue
