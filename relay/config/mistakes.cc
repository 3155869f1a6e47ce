#include "relay/config/mistakes.h"

#include <algorithm>
#include <tuple>

namespace sluice::relay {

std::string ConfigMistake::toString() const {
  if (line == 0) return file + ": " + message;
  return file + ":" + std::to_string(line) + ":" + std::to_string(column) + ": " + message;
}

void Mistakes::add(Place place, std::string message) {
  // The message may quote the file: whatever is in it, a mistake is one line of printable text.
  for (char& c : message) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  found_.push_back({file_, place.line, place.column, std::move(message)});
}

std::vector<ConfigMistake> Mistakes::take() {
  std::stable_sort(found_.begin(), found_.end(), [](const auto& a, const auto& b) {
    return std::tie(a.line, a.column) < std::tie(b.line, b.column);
  });
  return std::exchange(found_, {});
}

}  // namespace sluice::relay
