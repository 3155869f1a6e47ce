#include "relay/cli/load_identity.h"

#include <charconv>
#include <cstring>

namespace sluice::relay {
namespace {

bool takeNumber(std::string_view& text, uint64_t& number, int base) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number, base);
  text.remove_prefix(static_cast<size_t>(parsed.ptr - text.data()));
  return parsed.ec == std::errc();
}

bool startsField(std::string_view line, std::string_view name) {
  return line.size() > name.size() + 1 && line.compare(0, name.size(), name) == 0 &&
         line[name.size()] == ':' && line[name.size() + 1] == ' ';
}

}  // namespace

uint64_t quickHash(std::string_view bytes, uint64_t seed) {
  uint64_t hash = (0x9e3779b97f4a7c15u ^ seed) + bytes.size();
  uint64_t word = 0;
  while (bytes.size() >= 8) {
    std::memcpy(&word, bytes.data(), 8);
    hash = (hash ^ word) * 0xff51afd7ed558ccdu;
    hash ^= hash >> 32;
    bytes.remove_prefix(8);
  }
  word = 0;
  if (!bytes.empty()) std::memcpy(&word, bytes.data(), bytes.size());
  hash = (hash ^ word) * 0xc4ceb9fe1a85ec53u;
  return hash ^ (hash >> 29);
}

std::string_view lineField(std::string_view header, std::string_view name) {
  size_t at = 0;
  while (true) {
    if (startsField(header.substr(at), name)) break;
    at = header.find('\n', at);
    if (at == std::string_view::npos) return {};
    ++at;
  }
  std::string_view value = header.substr(at + name.size() + 2);
  value = value.substr(0, value.find('\n'));
  if (!value.empty() && value.back() == '\r') value.remove_suffix(1);
  return value;
}

std::optional<LoadProof> parseProof(std::string_view value) {
  LoadProof proof;
  if (!takeNumber(value, proof.sent_ns, 10) || !takeNumber(value, proof.body_bytes, 10) ||
      !takeNumber(value, proof.body_hash, 16) || !value.empty()) {
    return std::nullopt;
  }
  return proof;
}

}  // namespace sluice::relay
