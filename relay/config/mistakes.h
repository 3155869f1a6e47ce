// Mistakes in a configuration, and the places in the file that they point to.
#pragma once

#include <compare>
#include <string>
#include <utility>
#include <vector>

namespace sluice::relay {

// A position in a configuration file; both count from 1. Line 0: the file as a whole.
struct Place {
  int line = 0;
  int column = 0;
  auto operator<=>(const Place&) const = default;
};

struct ConfigMistake {
  std::string file;  // or the name of an environment variable
  int line = 0;      // 0: no position
  int column = 0;
  std::string message;
  // "FILE:LINE:COL: message", or "FILE: message" without a position.
  std::string toString() const;
};

// Collects the mistakes of one file.
class Mistakes {
 public:
  explicit Mistakes(std::string file) : file_(std::move(file)) {}
  void add(Place place, std::string message);
  bool empty() const { return found_.empty(); }
  size_t size() const { return found_.size(); }
  // All of them in the order of the file; leaves none.
  std::vector<ConfigMistake> take();

 private:
  std::string file_;
  std::vector<ConfigMistake> found_;
};

}  // namespace sluice::relay
