// Where spare copies are kept, and when they are used.
#include "queue/store_spares.h"

#include <filesystem>
#include <fstream>
#include <iterator>

namespace sluice::queue {
namespace {

constexpr std::string_view kSpares = "/spare";

bool sameBytes(const std::filesystem::path& a, const std::filesystem::path& b) {
  std::ifstream one(a, std::ios::binary), two(b, std::ios::binary);
  const std::string first{std::istreambuf_iterator<char>(one), {}};
  const std::string second{std::istreambuf_iterator<char>(two), {}};
  return one && two && first == second;
}

}  // namespace

Result<void> keepSpares(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path spares = path + std::string(kSpares);
  fs::create_directory(spares, error);
  for (const auto& entry : fs::directory_iterator(path, error))
    if (!error && entry.path().extension() == ".sst")
      fs::copy_file(entry.path(), spares / entry.path().filename(), error);
  if (error) return fail(Errc::Io, "cannot write " + spares.string() + ": " + error.message());
  return {};
}

bool useSpares(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  bool used = false;
  for (const auto& entry : fs::directory_iterator(path + std::string(kSpares), error)) {
    const fs::path original = path / entry.path().filename();
    if (!fs::exists(original, error) || sameBytes(entry.path(), original)) continue;
    fs::copy_file(entry.path(), original, fs::copy_options::overwrite_existing, error);
    used |= !error;
  }
  return used;
}

}  // namespace sluice::queue
