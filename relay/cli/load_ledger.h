// What `sluice load` knows of each recipient's message, and what that means beside a sink's
// journal.
//
// The ledger has a line a recipient: "A ID RECIPIENT" accepted; "U ID RECIPIENT" unknown, for the
// connection broke after all of the content was sent; "R ID RECIPIENT CODE" refused.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "net/base/result.h"

namespace sluice::relay {

class LoadLedger {
 public:
  // Writes nothing if `path` is empty. Errors: Io.
  static Result<LoadLedger> create(const std::string& path);
  void note(char what, std::string_view id, std::string_view recipient, int code = 0);
  bool writing() const { return file_ != nullptr; }
  void flush();

 private:
  struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, CloseFile> file_;
};

// The comparison of ledgers with journals. Lost, ghosts and duplicates are counted by (id,
// recipient).
struct LoadCheck {
  uint64_t accepted = 0;
  uint64_t delivered = 0;   // of the accepted
  uint64_t reported = 0;    // of the accepted: not delivered, but the sender was told
  uint64_t lost = 0;        // accepted, neither delivered nor reported
  uint64_t duplicates = 0;  // copies beyond the first
  uint64_t ghosts = 0;      // delivered although refused, or never sent
  uint64_t unknown = 0;     // may be delivered or not; both are right
  uint64_t unknown_delivered = 0;
  uint64_t refused = 0;
  uint64_t foreign = 0;  // delivered, but of another run
  std::vector<std::string> lost_examples, duplicate_examples, ghost_examples;

  bool good() const { return lost == 0 && ghosts == 0; }
  nlohmann::json toJson() const;
};

// Errors: Io (a file cannot be read), Malformed (a line of a ledger is none).
Result<LoadCheck> checkDeliveries(const std::vector<std::string>& ledgers,
                                  const std::vector<std::string>& journals);

}  // namespace sluice::relay
