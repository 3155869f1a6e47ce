#include "relay/cli/version.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "net/dns/dns_library_versions.h"
#include "net/http/http_library_version.h"
#include "net/library_versions.h"
#include "net/tls/tls_library_version.h"
#include "queue/database_version.h"
#include "relay/config/build_version.h"
#include "relay/config/document.h"
#include "relay/log/log_library_version.h"

namespace sluice::relay {
namespace {

std::string line(std::string_view name, std::string_view version) {
  return fmt::format("\n{:<14} {}", name, version);
}

std::string dotted(int major, int minor, int patch) {
  return fmt::format("{}.{}.{}", major, minor, patch);
}

}  // namespace

std::string versionText() {
  return fmt::format("sluice {}", sluiceVersion()) + line("commit", sluiceCommit()) +
         line("libuv", net::libuvVersion()) + line("BoringSSL", net::boringSslVersion()) +
         line("c-ares", net::caresVersion()) + line("libidn2", net::idn2Version()) +
         line("RocksDB", queue::rocksDbVersion()) + line("CivetWeb", net::civetWebVersion()) +
         line("toml++", tomlLibraryVersion()) + line("spdlog", spdlogVersion()) +
         line("fmt", dotted(FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100)) +
         line("nlohmann-json", dotted(NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR,
                                      NLOHMANN_JSON_VERSION_PATCH)) +
         line("CLI11", CLI11_VERSION);
}

}  // namespace sluice::relay
