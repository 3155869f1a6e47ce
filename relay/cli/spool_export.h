// Messages of a stopped queue as files: the content as ID.eml, the envelope beside it as ID.json.
#pragma once

#include <cstdint>
#include <string>

#include "net/base/result.h"
#include "queue/spool_check.h"

namespace sluice::relay {

// Writes into one folder. A message whose content is not whole becomes ID.partial rather than
// ID.eml, so that nobody sends it on by mistake.
class SpoolExport {
 public:
  // Makes `folder` (mode 0700) if it is missing. Errors: Exists (it is not empty), Io.
  static Result<SpoolExport> create(const std::string& folder);

  // After the first error nothing more is written; finish() tells it.
  void write(const queue::SpoolMessage& message);
  // Everything is on disk. Gives the number of .eml files. Errors: Io, NoSpace.
  Result<uint64_t> finish();

 private:
  explicit SpoolExport(std::string folder) : folder_(std::move(folder)) {}
  Result<void> writeFile(const std::string& name, std::string_view bytes);

  std::string folder_;
  uint64_t whole_ = 0;
  Result<void> state_;
};

// The envelope as JSON: what a message needs to be sent again to those who did not get it.
std::string envelopeJson(const queue::SpoolMessage& message);

}  // namespace sluice::relay
